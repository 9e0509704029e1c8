"""The licence of each data set's images, as its source states it; a set distilled from them derives from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """What a source says of its images."""

    name: str
    """Identifier as Hugging Face's data set cards take it; `unknown` where the source states none."""
    words: str
    """A sentence for people."""
    source: str
    """Where it is stated, or where the data comes from."""


LICENCES = {
    "digits": Licence(
        name="cc-by-4.0",
        words="Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI repository, 1998): CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80",
    ),
    "mnist": Licence(
        name="cc-by-sa-3.0",
        words="MNIST (Y. LeCun and C. Cortes hold the copyright): CC BY-SA 3.0, as the documentation of Keras states it",
        source="https://keras.io/api/datasets/mnist/",
    ),
    "fashion_mnist": Licence(
        name="mit",
        words="Fashion-MNIST (Zalando SE): MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
    ),
    "cifar10": Licence(
        name="unknown",
        words="CIFAR-10 (A. Krizhevsky, 2009): its source states no licence, and asks to cite the technical report",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "cifar100": Licence(
        name="unknown",
        words="CIFAR-100 (A. Krizhevsky, 2009): its source states no licence, and asks to cite the technical report",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "mhist": Licence(
        name="other",
        words="MHIST (J. Wei et al., 2021): its Research Use Agreement that each user accepts; read it before you pass a set on",
        source="https://bmirds.github.io/MHIST/",
    ),
    "image_folder": Licence(
        name="unknown",
        words="images of your own: say here what their licence is before you publish the set",
        source="a folder of its owner's",
    ),
}
"""By the name of a data set."""
