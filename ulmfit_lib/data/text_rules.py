"""fastai's text rules and special tokens: what every text goes through before it is split."""

from collections.abc import Callable, Iterable, Iterator

# fastai's special tokens, in its order: unknown, padding, start and end of a text, field, repeated character,
# repeated word, the next word was in CAPITALS, the next word was Capitalised.
SPECIAL_TOKENS = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
FIELD = "xxfld"


def text_rules() -> list[Callable[[str], str]]:
    """The functions, in fastai's order."""
    from fastai.text import core

    return [
        core.fix_html, core.replace_rep, core.replace_wrep, core.spec_add_spaces, core.rm_useless_spaces,
        core.replace_all_caps, core.replace_maj, core.lowercase,
    ]  # fmt: skip


RULE_NAMES = (
    "fix_html", "replace_rep", "replace_wrep", "spec_add_spaces", "rm_useless_spaces",
    "replace_all_caps", "replace_maj", "lowercase",
)  # fmt: skip


def apply_rules(texts: Iterable[str]) -> Iterator[str]:
    """Texts as fastai hands them to the splitter."""
    rules = text_rules()
    for text in texts:
        for rule in rules:
            text = rule(text)
        yield text
