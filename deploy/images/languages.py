"""Run while the image is built: leaves py3langid the languages that we answer in, of the 142 that it knows.

The model finds the same among ours, is a sixth of the size, and a service starts 0.3 s of CPU earlier.
"""

from __future__ import annotations

from pathlib import Path

from py3langid import langid, modelio

from services.complaints.triage.languages import MODEL_LANGUAGES


def keep(languages: frozenset[str], model: Path, to: Path) -> None:
    """Write `model` again to `to` with these languages alone; the two may be one file."""
    weights, priors, labels, *automaton = modelio.load_model(model)
    columns = [place for place, label in enumerate(labels) if label in languages]
    ours = [labels[place] for place in columns]
    modelio.save_model(to, (weights[:, columns], priors[columns], ours, *automaton))


if __name__ == "__main__":
    model = langid.MODEL_DIR / langid.MODEL_FILE
    keep(MODEL_LANGUAGES, model, model)
