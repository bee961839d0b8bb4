"""What TensorBoard shows of a training."""

from fastai.callback.tensorboard import TensorBoardCallback


class TensorBoardLosses(TensorBoardCallback):
    """fastai's callback, for optimisers of PyTorch and for trainings that go on.

    fastai writes all settings of the optimiser down at each step, of which PyTorch's are partly no numbers.

    Args:
        log_dir: the folder.
    """

    order = 56  # after a checkpoint has restored the progress

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir=log_dir, trace_model=False, log_preds=False)

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
