from types import SimpleNamespace

import pytest
import torch

from recseg_d2.engine.progress import Curriculum, Plateau


class FakeStorage:
    def __init__(self):
        self.values = {}

    def latest(self):
        return self.values

    def put_scalar(self, name, value, smoothing_hint=True):
        self.values[name] = (value, -1)


class FakeModel(torch.nn.Module):
    steps, step_limit = 4, 4


def walk(hook, losses):
    """The limit in force at each iteration, with one evaluation an iteration."""
    trainer = SimpleNamespace(iter=0, max_iter=len(losses), storage=FakeStorage())
    hook.trainer, limits = trainer, []
    for trainer.iter, loss in enumerate(losses):
        hook.before_step()
        limits.append(hook._model.step_limit)
        if loss is not None:
            trainer.storage.values["loss"] = (loss, trainer.iter)
        hook.after_step()
    return limits


def test_plateau_counts_evaluations_without_improvement():
    plateau = Plateau(patience=2, higher_is_better=False)
    assert [plateau.improved(v) for v in (3.0, 2.0, 2.0, 2.5)] == [True, True, False, False]
    assert plateau.reached
    plateau.reset()
    assert not plateau.reached
    assert plateau.improved(9.0)


def test_plateau_without_patience_is_never_reached():
    plateau = Plateau(patience=0, higher_is_better=True)
    assert [plateau.improved(v) for v in (1.0, 0.5, 2.0)] == [True, False, True]
    assert not plateau.reached


def test_curriculum_by_iterations():
    hook = Curriculum(FakeModel(), start=2, every=3, plateau=Plateau(1, False), metric="loss")
    assert walk(hook, [None] * 8) == [2, 2, 2, 3, 3, 3, 4, 4]
    hook.after_train()
    assert hook._model.step_limit == 4


def test_curriculum_by_plateau_starts_counting_anew_after_each_raise():
    hook = Curriculum(FakeModel(), start=2, every=0, plateau=Plateau(2, False), metric="loss")
    #               best  1    2->3  best  1    2->4
    losses = [1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 1.0]
    assert walk(hook, losses) == [2, 2, 2, 3, 3, 3, 4]


def test_iterations_without_an_evaluation_do_not_count():
    hook = Curriculum(FakeModel(), start=2, every=0, plateau=Plateau(1, False), metric="loss")
    assert walk(hook, [1.0, None, None, 1.0, None]) == [2, 2, 2, 2, 3]


@pytest.mark.parametrize("kind", ["plateau", "curriculum"])
def test_state_survives_a_checkpoint(kind):
    plateau = Plateau(2, False)
    plateau.improved(1.0)
    plateau.improved(1.0)
    if kind == "plateau":
        other = Plateau(2, False)
        other.load_state_dict(plateau.state_dict())
        other.improved(1.0)
        assert other.reached
    else:
        hook = Curriculum(FakeModel(), 2, 0, plateau, "loss")
        hook._raised = 1
        other = Curriculum(FakeModel(), 2, 0, Plateau(2, False), "loss")
        other.load_state_dict(hook.state_dict())
        assert walk(other, [1.0, None]) == [3, 4]
