"""The card of a pretrained network: what it was trained on, and whom it must not be tested on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.views.model_card import data_section, table, task_words


def pretraining_card(configuration: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    configuration : what the network's folder says of it.
    """
    told, origin = configuration, configuration["provenance"]
    loss = told["curves"]["train_loss"]
    changed = ", ".join(f"{name}={value}" for name, value in told["hyperparameters"].items())
    return (
        "\n\n".join(
            [
                f"# {told['label']}, pretrained on {', '.join(told['trained_on']['datasets'])}",
                f"A network for {task_words(told['task'])}, made by `merbench pretrain` for folds to start from: "
                f"`merbench run --models {told['model']} --pretrain {told['pretraining']['key'][:12]}`. Its head is "
                "replaced there.",
                data_section(told["trained_on"]),
                "## Use\n\nNobody of these people, and nobody of another database of the same laboratory, may be "
                "tested with a network that starts from it; `merbench run` refuses to. No score of it is known.",
                "## How it was made\n\n" + table(["epochs", "first loss", "last loss"], [_losses(loss)]),
                f"Settings: {changed}. Seed {told['trained_on']['seed']}, {origin['workers']} workers, "
                f"{origin['seconds']:.0f} s on {origin['device']}, code {origin['git'] or 'outside a checkout'}.",
            ]
        )
        + "\n"
    )


def _losses(loss: list[float]) -> list[str]:
    return [str(len(loss)), f"{loss[0]:.4f}", f"{loss[-1]:.4f}"]
