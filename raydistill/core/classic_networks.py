"""LeNet, AlexNet, VGG11 and ResNet18 in the form that distillation papers use for small images.

With one input channel LeNet, AlexNet and VGG11 pad their first convolution by 2 more on each side, which makes 28 x 28 digits
32 x 32, as in all published cross-architecture results. ResNet18 has no such padding.

Two differences from the published code do not change a network for 28 or 32 pixels: the size of the classifier follows from the
image (there it is fixed for 32 pixels), and VGG11 and ResNet18 end in a mean over the whole map (there in a pool of fixed size).
For 64 pixels the published code has a stride in the first convolution; here there is none.

Shapes: N images, C channels, H x W pixels, K classes.

Source: LeNet-5 (LeCun et al., 1998), AlexNet (Krizhevsky et al., NeurIPS 2012), VGG-A (Simonyan and Zisserman, ICLR 2015) and
ResNet-18 (He et al., CVPR 2016), in the widths of Dataset Condensation's networks (Zhao et al., ICLR 2021).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from raydistill.core.layers import Features, make_norm
from raydistill.spaces.network import AlexNetConfig, LeNetConfig, ResNet18Config, Shape, VGG11Config


class LeNet(nn.Module):
    """Two 5x5 convolutions with ReLU and max pooling, then three linear layers; no norm. The embedding has 84 values."""

    def __init__(self, config: LeNetConfig, shape: Shape, classes: int) -> None:
        del config  # it has no fields
        super().__init__()
        channels, height, width = shape
        padding = 2 if channels == 1 else 0
        rows, columns = (((side + 2 * padding - 4) // 2 - 4) // 2 for side in (height, width))
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(channels, 6, kernel_size=5, padding=padding), nn.ReLU()),
                nn.Sequential(nn.Conv2d(6, 16, kernel_size=5), nn.ReLU()),
            ]
        )
        self.hidden = nn.Sequential(nn.Linear(16 * rows * columns, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU())
        self.classifier = nn.Linear(84, classes)

    def features(self, images: Tensor) -> Features:
        """Activations of both convolutions, and the embedding, of (N, C, H, W) images."""
        activations, x = _through(self.blocks, images, pooled_after=(0, 1))
        return Features(activations, self.hidden(x.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class AlexNet(nn.Module):
    """Five convolutions with ReLU, max pools after the first, second and last, one linear layer; no norm, no dropout."""

    POOLED_AFTER = (0, 1, 4)

    def __init__(self, config: AlexNetConfig, shape: Shape, classes: int) -> None:
        del config  # it has no fields
        super().__init__()
        channels, height, width = shape
        widths = (channels, 128, 192, 256, 192, 192)
        padding = 4 if channels == 1 else 2
        layers = ((5, padding), (5, 2), (3, 1), (3, 1), (3, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i], widths[i + 1], kernel_size=size, padding=padded), nn.ReLU())
            for i, (size, padded) in enumerate(layers)
        )
        rows, columns = ((side + 2 * padding - 4) // 8 for side in (height, width))
        self.classifier = nn.Linear(192 * rows * columns, classes)

    def features(self, images: Tensor) -> Features:
        """Activations of all convolutions, and as embedding the pooled last activation, of (N, C, H, W) images."""
        activations, x = _through(self.blocks, images, self.POOLED_AFTER)
        return Features(activations, x.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class VGG11(nn.Module):
    """Eight 3x3 convolutions with norm and ReLU, five max pools, a mean over the map, one linear layer."""

    WIDTHS = (64, 128, 256, 256, 512, 512, 512, 512)
    POOLED_AFTER = (0, 1, 3, 5, 7)

    def __init__(self, config: VGG11Config, shape: Shape, classes: int) -> None:
        super().__init__()
        channels = shape[0]
        self.blocks = nn.ModuleList()
        for index, width in enumerate(self.WIDTHS):
            padding = 3 if index == 0 and channels == 1 else 1
            convolution = nn.Conv2d(channels, width, kernel_size=3, padding=padding)
            self.blocks.append(nn.Sequential(convolution, make_norm(config.norm, width), nn.ReLU()))
            channels = width
        self.classifier = nn.Linear(channels, classes)

    def features(self, images: Tensor) -> Features:
        """Activations of all convolutions, and the (N, 512) embedding, of (N, C, H, W) images."""
        activations, x = _through(self.blocks, images, self.POOLED_AFTER)
        return Features(activations, x.mean(dim=(2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class ResNet18(nn.Module):
    """A 3x3 stem without stride, four stages of two residual blocks, a mean over the map, one linear layer."""

    STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
    """Channels and stride."""

    def __init__(self, config: ResNet18Config, shape: Shape, classes: int) -> None:
        super().__init__()
        channels = 64
        self.stem = nn.Sequential(_convolution(shape[0], channels, 3, 1), make_norm(config.norm, channels), nn.ReLU())
        self.stages = nn.ModuleList()
        for width, stride in self.STAGES:
            blocks = (ResidualBlock(config.norm, channels, width, stride), ResidualBlock(config.norm, width, width, 1))
            self.stages.append(nn.Sequential(*blocks))
            channels = width
        self.classifier = nn.Linear(channels, classes)

    def features(self, images: Tensor) -> Features:
        """The four stages' activations and the (N, 512) embedding of (N, C, H, W) images."""
        activations = []
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x)
            activations.append(x)
        return Features(activations, x.mean(dim=(2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with norm, added to the input, or to its 1x1 projection if the shape changes; then ReLU."""

    def __init__(self, norm: str, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(channels, width, 3, stride),
            make_norm(norm, width),
            nn.ReLU(),
            _convolution(width, width, 3, 1),
            make_norm(norm, width),
        )
        changes = stride > 1 or channels != width
        projection = nn.Sequential(_convolution(channels, width, 1, stride), make_norm(norm, width))
        self.shortcut = projection if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H / stride, W / stride) of (N, channels, H, W)."""
        return functional.relu(self.residual(x) + self.shortcut(x))


def _convolution(channels: int, width: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=size, stride=stride, padding=size // 2, bias=False)


def _through(blocks: nn.ModuleList, images: Tensor, pooled_after: tuple[int, ...]) -> tuple[list[Tensor], Tensor]:
    """The activations of all blocks before pooling, and the final output; some blocks are followed by a 2x2 max pool."""
    activations = []
    x = images
    for index, block in enumerate(blocks):
        x = block(x)
        activations.append(x)
        if index in pooled_after:
            x = functional.max_pool2d(x, 2)
    return activations, x
