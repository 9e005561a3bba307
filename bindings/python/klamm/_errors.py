"""The exceptions of klamm. Each says in one sentence what was wrong; the module's C++ raises the same classes."""


class Error(Exception):
    """Whatever klamm raises is one of these."""


class Refused(Error, ValueError):
    """What was asked for makes no sense: an unknown option, a broker that does not exist, a time that went by."""


class Missed(Error):
    """A deed that hit nobody: a crash of a broker that is down already, a mend where nothing is cut."""


class AssertionFailed(Error):
    """An assertion failed in a node, or in the harness: a bug. The world has ended; the interpreter lives on."""


class WorldOver(Error):
    """The world was judged by verdict(); nothing more can happen in it."""


class NotYet(Error, TimeoutError):
    """What was waited for did not come within its bound of virtual time."""


class SendFailed(Error):
    """A record that is certainly not in the log. `error` is Kafka's name of the reason."""

    def __init__(self, sentence, error=None):
        super().__init__(sentence)
        self.error = error


class SendUnknown(SendFailed):
    """A record of unknown outcome: it may or may not be in the log, now or later."""


class PollFailed(Error):
    """A read that was answered with an error. `error` is Kafka's name of it."""

    def __init__(self, sentence, error=None):
        super().__init__(sentence)
        self.error = error


class ClusterRefused(Error):
    """What a real cluster answered with an error. `error` is Kafka's name of it."""

    def __init__(self, sentence, error=None):
        if error is None and "\n" in sentence:  # from C++: the name before the sentence
            error, _, sentence = sentence.partition("\n")
        super().__init__(sentence)
        self.error = error


class Red(Error):
    """A run that broke a promise, never came to rest, or crashed. `verdict` is what was found."""

    def __init__(self, sentence, verdict=None):
        super().__init__(sentence)
        self.verdict = verdict


class NotDeterministic(Error):
    """Two runs of the same seed and the same calls differ: something outside of the world has a say in them."""


class Died(Error):
    """A run's process died, or took more than its limits allow."""
