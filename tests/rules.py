"""Rules that hold for each of many things, such as files."""

from collections.abc import Callable, Iterable


def for_each(things: Iterable) -> Callable:
    """Make one test of a rule that is held to each of `things`; all that break it are told.

    Of the thousands of files and rules that there are, a test for each pair would take longer than
    all of the rules.
    """

    def decorate(rule):
        held_to = tuple(things)

        def test():
            broken = {}
            for thing in held_to:
                try:
                    rule(thing)
                except AssertionError as error:
                    broken[thing] = error
            assert not broken, "\n".join(f"{thing}: {error}" for thing, error in broken.items())

        test.__name__, test.__module__, test.__doc__ = rule.__name__, rule.__module__, rule.__doc__
        test.__qualname__ = rule.__qualname__
        return test

    return decorate
