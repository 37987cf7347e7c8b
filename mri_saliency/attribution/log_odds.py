"""What maps explain: the log-odds of a class."""

import torch
from torch import Tensor, nn


def log_odds(outputs: Tensor) -> Tensor:
    """Compute the log-odds of each class, log(p / (1 - p)), from a network's outputs: (..., n_logits), both.

    A single output is the log-odds of TLE. Several give probabilities by softmax; then the log-odds are
    output k less the logsumexp of all others. Unlike output k alone, they do not change where all outputs
    rise alike, which changes no probability.
    """
    n_logits = outputs.shape[-1]
    if n_logits == 1:
        return outputs
    classes = []
    for k in range(n_logits):
        others = torch.cat([outputs[..., :k], outputs[..., k + 1 :]], dim=-1)  # (..., n_logits - 1)
        largest = others.detach().amax(dim=-1)  # of large outputs, float32 keeps the differences
        rest = (others - largest[..., None]).logsumexp(dim=-1)
        classes.append(outputs[..., k] - largest - rest)
    return torch.stack(classes, dim=-1)


class LogOdds(nn.Module):
    """`log_odds` as the last layer of a network."""

    def forward(self, outputs: Tensor) -> Tensor:
        """Return each class's log-odds, (n, n_logits)."""
        return log_odds(outputs)
