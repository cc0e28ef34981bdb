"""Fitting a linear classifier; needs scikit-learn, the extra ``fit``."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from understudy.models import fit_linear
from understudy.models.examples import Example
from understudy.models.fitting import FitOptions, fit
from understudy.models.linear import LinearClassifier
from understudy_protocols.errors import ConfigError

PLACES = ("gym", "pool", "spa", "bar", "lobby", "garden", "garage", "roof")
TEXTS = [
    *(Example(f"where is the {place} please", ("place",)) for place in PLACES),
    *(Example(f"the {place} is broken", ("place", "wrong")) for place in PLACES),
    *(Example(f"I want to pay {n} pounds now", ("money",)) for n in range(6)),
    *(Example(f"my payment {word} today", ("money", "wrong")) for word in PLACES),
    *(Example(f"thank you {word}", ()) for word in PLACES),
]
OPTIONS = FitOptions(max_features=200, folds=4)


@pytest.fixture
def _scikit_learn() -> None:
    pytest.importorskip("sklearn")


@pytest.mark.usefixtures("_scikit_learn")
def test_a_fitted_classifier_gives_new_texts_their_labels() -> None:
    fitted = fit(TEXTS, OPTIONS)
    classifier = LinearClassifier(fitted.weights)
    assert classifier.labels == ("money", "place", "wrong")
    assert not fitted.weights.one_label
    assert classifier.classify("the sauna is broken").labels == ("place", "wrong")
    assert classifier.classify("thank you friend").labels == ()
    assert fitted.held_out.texts == len(TEXTS)
    assert fitted.held_out.exact > 0.8
    assert len(fitted.judged) == len(TEXTS)


@pytest.mark.usefixtures("_scikit_learn")
def test_the_same_examples_in_any_order_give_the_same_features() -> None:
    one, other = fit(TEXTS, OPTIONS), fit(TEXTS, OPTIONS)
    assert one == other
    turned = fit(TEXTS[::-1], OPTIONS)
    assert tuple(turned.weights.rows) == tuple(one.weights.rows)
    assert turned.held_out.exact == one.held_out.exact


@pytest.mark.usefixtures("_scikit_learn")
def test_texts_of_the_same_words_are_never_parted() -> None:
    """Labels that were learnt by heart count for nothing in the held-out figures."""
    noise = [
        Example(f"{word}, {word}!{'?' * n}", ("a",) if at % 2 else ("b",))
        for at, word in enumerate(f"word{chr(97 + i)}" for i in range(24))
        for n in range(4)
    ]
    fitted = fit(noise, FitOptions(folds=4))
    assert fitted.weights.one_label
    assert fitted.held_out.exact < 0.7
    final = LinearClassifier(fitted.weights)
    assert all(final.classify(each.text).labels == each.labels for each in noise)


@pytest.mark.usefixtures("_scikit_learn")
def test_fewer_features_and_single_words_are_obeyed() -> None:
    fitted = fit(TEXTS, FitOptions(max_features=5, pairs=False, folds=4))
    kept = [name for name in fitted.weights.rows if not name.startswith("#")]
    assert len(kept) == 5
    assert not any(" " in name for name in kept)


@pytest.mark.usefixtures("_scikit_learn")
@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([Example("a", ())] * 20, "no example has a label"),
        ([Example("a", ("x",))] * 20, "all examples have the label 'x'"),
        (
            [*TEXTS, Example("b", ("rare",))],
            "only 1 examples have the label 'rare'",
        ),
        (
            [*TEXTS, *[Example("same words", ("new",))] * 4],
            "without one fold, all or no examples have the label 'new'",
        ),
    ],
)
def test_examples_that_cannot_be_fitted_on_are_refused(
    examples: Sequence[Example], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        fit(examples, OPTIONS)


def test_without_scikit_learn_the_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'understudy\[fit\]'"):
        fit(TEXTS, OPTIONS)


def test_using_a_classifier_loads_no_scikit_learn() -> None:
    path = Path(__file__).parents[1] / "data" / "linear_golden_weights.json"
    program = (
        "import sys\n"
        "from understudy.models.linear import LinearClassifier\n"
        f"assert LinearClassifier({str(path)!r}).classify('I lost my card').labels\n"
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'numpy', 'scipy')))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.usefixtures("_scikit_learn")
def test_the_command_writes_weights_and_prints_held_out_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "texts.csv"
    rows = [f"{each.text},{'|'.join(each.labels)}" for each in TEXTS]
    data.write_text("\n".join(["said,topics", *rows]))
    output = tmp_path / "w.json"
    arguments = [str(data), "-o", str(output), "--text", "said", "--labels", "topics"]
    arguments += ["--folds", "4", "--max-features", "100", "--seed", "3"]
    assert fit_linear.main(arguments) == 0
    said = capsys.readouterr().out
    assert "3 labels" in said
    assert "held out (38 texts" in said
    first = output.read_bytes()
    assert LinearClassifier(output).weights.fitted["seed"] == 3
    assert fit_linear.main(arguments) == 0
    assert output.read_bytes() == first


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "cannot be read"),
        (("--folds", "1"), "'folds' must be >= 2"),
        (("--looseness", "0"), "'looseness' must be > 0"),
    ],
)
def test_a_mistake_in_the_call_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: Sequence[str],
    said: str,
) -> None:
    data, output = tmp_path / "none.csv", tmp_path / "w.json"
    assert fit_linear.main([str(data), "-o", str(output), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fit_linear: ")
    assert said in error
    assert not output.exists()
