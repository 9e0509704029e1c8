"""A file of tensors that notices what a disk changes."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from raydistill.data.sealed_tensors import seal_tensors, unseal_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2])}


def test_tensors_come_back_as_they_were() -> None:
    found = unseal_tensors(seal_tensors(TENSORS))
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("from_the_end", range(1, 41))
def test_a_flipped_bit_in_a_value_is_noticed(from_the_end: int) -> None:
    data = bytearray(seal_tensors(TENSORS))
    data[-from_the_end] ^= 1
    with pytest.raises(ValueError, match="it was changed after it was written"):
        unseal_tensors(bytes(data))


def test_half_a_file_is_no_file() -> None:
    data = seal_tensors(TENSORS)
    with pytest.raises(ValueError, match=r"header|incomplete|HeaderTooLarge|Error"):
        unseal_tensors(data[: len(data) // 2])


def test_a_file_of_an_older_version_has_no_hash() -> None:
    assert torch.equal(unseal_tensors(save(TENSORS))["a"], TENSORS["a"])
