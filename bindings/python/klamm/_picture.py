"""A matplotlib figure that a notebook shows without being asked to; apart, so that klamm can do without matplotlib."""
import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A Figure that belongs to no window and to no global state."""

    def _repr_png_(self):
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=72)
        return data.getvalue()
