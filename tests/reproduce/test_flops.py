"""Table I's FLOPs, exactly."""

from __future__ import annotations

from raydistill.reproduce.flops import by_report_rule, report_flops
from raydistill.spaces.network import ConvNetConfig


def test_table_1_comes_out_exactly_under_the_reports_rule() -> None:
    """MNIST on its 32 x 32 dummy: 61,233,152 MACs + 128 (18^2 + 9^2 + 4^2) pool outputs; MHIST 197,425,216 + 535,008."""
    mnist, mhist = report_flops()
    assert (mnist.report_flops, mnist.report_rule) == ("61.3M", 61_287_040)
    assert (mhist.report_flops, mhist.report_rule) == ("198M", 197_960_224)


def test_the_honest_count_is_of_the_true_input() -> None:
    """28 x 28 digits: 48,386,048 MACs, with pools 48,429,056; MHIST was counted on its true input."""
    mnist, mhist = report_flops()
    assert (mnist.true_macs, mnist.true_rule) == (48_386_048, 48_429_056)
    assert (mhist.true_macs, mhist.true_rule) == (197_425_216, 197_960_224)


def test_the_rule_by_hand() -> None:
    """One block of width 2 on 1 x 2 x 2: 6 x 6 outputs of 2 * 9 MACs, a 3 x 3 pool of 2 channels, 18 * 2 of the classifier."""
    network = ConvNetConfig(name="convnet", depth=1, width=2)
    assert by_report_rule(network, (1, 2, 2), 2) == 36 * 2 * 9 + 2 * 9 + 18 * 2
