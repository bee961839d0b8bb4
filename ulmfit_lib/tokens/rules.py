"""fastai's text rules and special tokens, without fastai: what every text goes through before it is split.

The functions have fastai's names and give what fastai's give (a test compares them), so that tokens are the same; but
whoever only predicts need not load fastai.
"""

import html
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

# fastai's special tokens, in its order: unknown, padding, start and end of a text, field, repeated character,
# repeated word, the next word was in CAPITALS, the next word was Capitalised.
SPECIAL_TOKENS = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
UNKNOWN, PAD, START, _, FIELD, REPEATED, REPEATED_WORD, CAPITALS, CAPITALISED = SPECIAL_TOKENS

LEFT_OVERS = (  # of HTML and of WikiText, one after the other
    ("#39;", "'"),
    ("amp;", "&"),
    ("#146;", "'"),
    ("nbsp;", " "),
    ("#36;", "$"),
    ("\\n", "\n"),
    ("quot;", "'"),
    ("<br />", "\n"),
    ('\\"', '"'),
    ("<unk>", UNKNOWN),
    (" @.@ ", "."),
    (" @-@ ", "-"),
    ("...", " …"),
)
SAME_CHARACTER = re.compile(r"(\S)\1{2,}")
SAME_WORD = re.compile(r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)")
SLASHES = re.compile(r"([/#\\])")
SPACES = re.compile(r" {2,}")
IN_CAPITALS = re.compile(r"(?<!\S)[A-Z][^a-z\s]*(?!\S)")
WITH_A_CAPITAL = re.compile(r"(?<!\S)[A-Z][^A-Z\s]*(?!\S)")


def fix_html(text: str) -> str:
    """Entities and left-overs of markup become what they stand for."""
    for left_over, meaning in LEFT_OVERS:
        text = text.replace(left_over, meaning)
    return html.unescape(text)


def replace_rep(text: str) -> str:
    """``!!!!`` -> ``xxrep 4 !``."""
    return SAME_CHARACTER.sub(lambda found: f" {REPEATED} {len(found[0])} {found[1]} ", text)


def replace_wrep(text: str) -> str:
    """``no no no`` -> ``xxwrep 3 no``."""
    return SAME_WORD.sub(lambda found: f" {REPEATED_WORD} {len(found[2].split()) + 2} {found[1]} {found[3]}", text)


def spec_add_spaces(text: str) -> str:
    """Spaces around slashes and number signs."""
    return SLASHES.sub(r" \1 ", text)


def rm_useless_spaces(text: str) -> str:
    """One space for several."""
    return SPACES.sub(" ", text)


def replace_all_caps(text: str) -> str:
    """``GOOD`` -> ``xxup good``."""
    return IN_CAPITALS.sub(lambda found: _marked(CAPITALS, found[0]), text)


def replace_maj(text: str) -> str:
    """``Good`` -> ``xxmaj good``."""
    return WITH_A_CAPITAL.sub(lambda found: _marked(CAPITALISED, found[0]), text)


def lowercase(text: str) -> str:
    """Lower case, behind the mark of a text's start."""
    return f"{START} {text.lower().strip()}"


def _marked(mark: str, word: str) -> str:
    return f"{mark} {word.lower()}" if len(word) > 1 else word.lower()


RULES = (
    fix_html,
    replace_rep,
    replace_wrep,
    spec_add_spaces,
    rm_useless_spaces,
    replace_all_caps,
    replace_maj,
    lowercase,
)
RULE_NAMES = tuple(rule.__name__ for rule in RULES)


def well_formed(text: str) -> str:
    """Half a surrogate pair alone, which no encoding can hold, becomes the sign for what cannot be shown.

    Halves that stand for bytes of UTF-8, as Python has them of a terminal without it, become the letters of these.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        with suppress(UnicodeError):
            return text.encode("utf-8", "surrogateescape").decode()
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def apply_rules(texts: Iterable[str]) -> Iterator[str]:
    """Texts as fastai hands them to the splitter."""
    for text in texts:
        for rule in RULES:
            text = rule(text)
        yield text
