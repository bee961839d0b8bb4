"""What TensorBoard shows of a training."""

import torch
from fastai.callback.tensorboard import TensorBoardCallback
from fastai.learner import AvgSmoothLoss, Learner, Recorder


class OwnLoss(AvgSmoothLoss):
    """fastai's smoothed loss, of this process alone: only one is tracked, and fastai's would wait for the others."""

    val: torch.Tensor

    def accumulate(self, learn: Learner) -> None:
        """One more batch."""
        self.count += 1
        self.val = torch.lerp(learn.loss.detach().mean().cpu(), self.val, self.beta)


class TensorBoardLosses(TensorBoardCallback):
    """fastai's callback, for optimisers of PyTorch and for trainings that go on.

    fastai writes all settings of the optimiser down at each step, of which PyTorch's are partly no numbers.

    Args:
        log_dir: the folder.
        measured: whether there are validation batches.
    """

    order = 56  # after a checkpoint has restored the progress

    def __init__(self, log_dir: str, *, measured: bool) -> None:
        super().__init__(log_dir=log_dir, trace_model=False, log_preds=False)
        self.measured = measured

    def before_train(self) -> None:
        """A training that goes on counts its steps from where it was."""
        self.learn.train_iter = round(self.learn.pct_train * self.learn.n_epoch * len(self.learn.dls.train))

    def after_batch(self) -> None:
        """The smoothed loss, and the rate of each group."""
        if not self.learn.training:
            return
        self.writer.add_scalar("train_loss", self.learn.smooth_loss, self.learn.train_iter)
        for group, settings in enumerate(self.learn.opt.hypers):
            self.writer.add_scalar(f"lr_{group}", settings["lr"], self.learn.train_iter)

    def after_epoch(self) -> None:
        """The validation loss of all processes together."""
        rows = self.learn.history.rows
        if self.measured and rows and rows[-1]["epoch"] == self.learn.epoch + 1:
            steps = len(self.learn.dls.train) * (self.learn.epoch + 1)
            self.writer.add_scalar("valid_loss", rows[-1]["valid_loss"], steps)


def quiet_recorder() -> Recorder:
    """fastai's recorder, which has the smoothed loss, and prints nothing."""
    recorder = Recorder(valid_metrics=False)
    recorder.smooth_loss = OwnLoss()
    recorder.logger = lambda _: None
    return recorder
