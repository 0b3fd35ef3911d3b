from exchanges.symbols.spelling import spelled

KNOWN = ["BTC-USD", "kPEPE-USDT-PERP", "AAPLx-USD", "aaplX-USD"]


def test_letters_of_either_case_are_what_the_exchange_writes():
    typed = ["btc-usd", "KPEPE-usdt-perp", "kPEPE-USDT-PERP", "BTC-USD"]
    assert spelled(typed, KNOWN) == ["BTC-USD", "kPEPE-USDT-PERP"]


def test_what_may_be_two_is_neither_unless_it_is_written_so():
    assert spelled(["aaplx-usd"], KNOWN) == ["AAPLX-USD"]
    assert spelled(["AAPLx-USD"], KNOWN) == ["AAPLx-USD"]


def test_what_is_not_known_is_in_capitals():
    assert spelled(["nope-usd"], KNOWN) == ["NOPE-USD"]
