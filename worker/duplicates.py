"""Which recipients of an audience were there before. Pure.

A table of numbers, twice as long as the audience may be: 16 MiB for a million, where a set takes five times that and a
table in a file ten times the time. A number's place is Python's hash of its text, which is keyed anew in each process:
nobody can choose numbers that all come to the same places.
"""

from collections.abc import Callable


def first_of_each(most: int) -> Callable[[str], bool]:
    """A function that says of each recipient (E.164 digits) whether it is given for the first time; for at most `most`
    of them."""
    bits = (2 * most).bit_length()
    last = 2**bits - 1
    table = memoryview(bytearray(8 << bits)).cast("Q")  # 0: free, as no recipient begins with 0

    def is_first(recipient: str) -> bool:
        number = int(recipient)
        place = hash(recipient) & last
        while there := table[place]:
            if there == number:
                return False
            place = (place + 1) & last
        table[place] = number
        return True

    return is_first
