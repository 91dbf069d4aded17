"""PyTorch's part of `sadefect.backends`."""

import torch


def card():
    """Return the name of the graphics card that PyTorch computes on; None without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
