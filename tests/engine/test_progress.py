from types import SimpleNamespace

import pytest
import torch

from recseg_d2.engine.progress import BestCheckpoint, Curriculum, Plateau, TrainingEnded


class FakeStorage:
    def __init__(self):
        self.values = {}

    def latest(self):
        return self.values

    def put_scalar(self, name, value, smoothing_hint=True):
        self.values[name] = (value, -1)


class FakeModel(torch.nn.Module):
    steps, step_limit = 4, 4


def curriculum(plateau, every=0):
    return Curriculum(FakeModel(), start=2, end=0, every=every, plateau=plateau, metric="loss")


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
    hook = Curriculum(
        FakeModel(), start=2, end=0, every=3, plateau=Plateau(1, False), metric="loss"
    )
    assert walk(hook, [None] * 8) == [2, 2, 2, 3, 3, 3, 4, 4]
    hook.after_train()
    assert hook._model.step_limit == 4


def test_curriculum_by_plateau_starts_counting_anew_after_each_raise():
    hook = Curriculum(
        FakeModel(), start=2, end=0, every=0, plateau=Plateau(2, False), metric="loss"
    )
    #               best  1    2->3  best  1    2->4
    losses = [1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 1.0]
    assert walk(hook, losses) == [2, 2, 2, 3, 3, 3, 4]


def test_iterations_without_an_evaluation_do_not_count():
    hook = Curriculum(
        FakeModel(), start=2, end=0, every=0, plateau=Plateau(1, False), metric="loss"
    )
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
        hook = curriculum(plateau)
        hook._raised = 1
        other = curriculum(Plateau(2, False))
        other.load_state_dict(hook.state_dict())
        assert walk(other, [1.0, None]) == [3, 4]


class Run:
    """Training with an evaluation after each iteration, whose loss rises with the length."""

    def __init__(self, patience, ending, end=0):
        self.model, self.kept, self.finished = FakeModel(), [], False
        self.curriculum = Curriculum(self.model, 2, end, 0, Plateau(patience, False), "loss")
        self.best = BestCheckpoint(
            "loss",
            Plateau(ending, False),
            save_best=lambda: self.kept.append((self.model.step_limit, self.loss)),
            finish=lambda: setattr(self, "finished", True),
            curriculum=self.curriculum,
        )
        self.trainer = SimpleNamespace(iter=0, max_iter=100, storage=FakeStorage())
        self.curriculum.trainer = self.best.trainer = self.trainer

    def go_on(self, losses):
        """Whether training is still going on after these losses by length, cycled through."""
        for loss in losses:
            self.curriculum.before_step()
            self.loss = self.model.step_limit + loss
            self.trainer.storage.values["loss"] = (self.loss, self.trainer.iter)
            try:
                self.curriculum.after_step()
                self.best.after_step()
            except TrainingEnded:
                return False
            self.trainer.iter += 1
        return True


def test_the_best_model_is_one_of_the_longest_sequence():
    run = Run(patience=2, ending=3)
    assert not run.go_on([0.5, 0.4, 0.4, 0.4] * 10)
    assert run.finished
    assert run.kept[-1][0] == run.model.steps  # though shorter sequences had smaller losses
    assert min(loss for _, loss in run.kept) < run.kept[-1][1]
    lengths = [length for length, _ in run.kept]
    assert lengths == sorted(lengths)
    assert set(lengths) == {2, 3, 4}


def test_training_does_not_end_before_the_curriculum_does():
    run = Run(patience=5, ending=1)
    assert run.go_on([0.4] * 6 + [0.4] * 6)  # longer than the other patience, twice
    assert run.curriculum.limit == 3
    assert not run.go_on([0.4] * 3)
    assert run.kept[-1][0] == 4


def test_a_curriculum_may_end_before_all_steps():
    run = Run(patience=1, ending=2, end=3)
    assert not run.go_on([0.4] * 20)
    assert run.kept[-1][0] == 3


def test_a_resumed_run_compares_with_models_of_the_same_length():
    run, resumed = Run(patience=2, ending=5), Run(patience=2, ending=5)
    run.go_on([0.4] * 3)
    resumed.curriculum.load_state_dict(run.curriculum.state_dict())
    resumed.best.load_state_dict(run.best.state_dict())
    resumed.go_on([0.9, 0.8])
    assert resumed.kept == [(3, 3.9), (3, 3.8)]
    again = Run(patience=2, ending=5)
    again.curriculum.load_state_dict(resumed.curriculum.state_dict())
    again.best.load_state_dict(resumed.best.state_dict())
    again.go_on([0.85])
    assert again.kept == []


def test_a_curriculum_that_is_cut_off_is_told(caplog):
    run = Run(patience=9, ending=0)
    run.trainer.max_iter = 3
    run.go_on([0.4] * 3)
    run.curriculum.after_train()
    assert "came to 2 of 4 objects" in caplog.text
