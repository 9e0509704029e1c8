"""Expert trajectories on the store: `<store>/experts/<key>/`, built once, read by every trial of every study.

The key is the hash of every setting that shapes an expert (`core.experts.ExpertSettings`); how many experts there are and which
snapshots were kept is not part of it, so a later study that needs more experts adds to what is there, and one that needs more
snapshots trains the same ones again. Each expert is a job of its own, so that jobs run side by side and a killed build trains
none twice. A trial never builds experts.

    settings.json               everything that shapes them
    expert-000.json             hash, epochs, accuracy, seconds, code, versions; written last
    expert-000-<hash>.safetensors   epochs (n,) and snapshots (n, P)
    scores-000.json, scores-000-<hash>.safetensors  difficulty by one network, where a curriculum needs it
    uses/<study>.json           studies whose trials read them
"""
