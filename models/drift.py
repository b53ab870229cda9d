from __future__ import annotations
import torch
from torch import Tensor, nn
class TwoTimescaleDrift(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        def net() -> nn.Sequential:
            return nn.Sequential(nn.Linear(dim + 1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, dim))
        self.fast, self.slow = net(), net()
    def forward(self, z: Tensor, t) -> Tensor:
        t = torch.as_tensor(t, dtype=z.dtype)
        t = t.expand(z.shape[:-1] + (1,)) if t.dim()==0 else t.expand(z.shape[:-1] + (1,))
        x = torch.cat((z, t), -1)
        return self.fast(x) + 0.1*self.slow(x)
