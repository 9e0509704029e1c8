"""Expert trajectories in the store, in `<store>/experts/<key>/`: trained once, shared by the trials of all studies.

The key is the hash of all settings on which an expert depends (`core.expert_fields.ExpertSettings`). The number of experts and
the saved snapshots are not part of it: a later study that needs more experts adds them, and one that needs more snapshots trains
the same experts again. Each expert is a job of its own, so experts train in parallel, and a killed build does not repeat finished
ones. A trial never builds experts.

    settings.json               the settings
    expert-000.json             its row: hash, epochs, accuracy, seconds, code, versions; written last
    expert-000-<hash>.safetensors   epochs (n,) and snapshots (n, P)
    scores-000.json, scores-000-<hash>.safetensors  difficulty of the images by one network, if a curriculum needs it
    uses/<study>.json           studies whose trials read them
"""
