"""The sentences and short passages that `general-en-small` was taught on, of every kind at hand, without labels.

    python benchmarks/teaching_texts.py --articles train-0[0-3].jsonl.xz --reviews imdb.parquet --tweets tweets.jsonl.xz
        --out sentences.jsonl

Articles: sentences, pairs of them, and titles; give the shards that `benchmarks/stand_ins.py` does not read. Reviews:
sentences and passages of the unlabelled ones that are no copy of a labelled one. Tweets as they are. Questions of all
three. Words of a base's vocabulary, one by one. Questions and opinions that are made up below. In random order, no text
twice; each with its kind and, of a review, the number of the review (`unlabelled_reviews`). `benchmarks/opinions.py`
adds opinions. The shipped base was taught on the first 204,800 of such a file, then twice on parts of such files.
"""

import argparse
import json
import lzma
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ulmfit_lib import LanguageModel

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(A-Z0-9])")
IN_BRACKETS = re.compile(r" \(.*\)$")
NUMBERS = {
    "sentences": 180_000,
    "pairs": 25_000,
    "titles": 12_000,
    "review sentences": 150_000,
    "review passages": 25_000,
    "tweets": 120_000,
    "questions": 20_000,
    "made up": 90_000,
    "words": 30_000,
}

THINGS = """
    card, debit card, credit card, account, bank account, savings account, order, parcel, package, delivery,
    payment, refund, invoice, bill, subscription, membership, ticket, booking, reservation, flight, hotel room,
    phone, mobile phone, laptop, tablet, camera, battery, charger, screen, keyboard, mouse, printer, router,
    internet connection, password, PIN, username, email address, phone number, address, profile, app, website,
    login, transfer, bank transfer, direct debit, cheque, cash, currency, exchange rate, loan, mortgage, insurance
    policy, claim, receipt, discount code, voucher, gift card, shoes, jacket, dress, coat, watch, headphones,
    speaker, television, fridge, oven, washing machine, dishwasher, vacuum cleaner, kettle, toaster, sofa, bed,
    table, chair, lamp, car, bike, tyre, engine, appointment, prescription, medicine, doctor, dentist, meal, pizza,
    salad, coffee, table for two, passport, visa, identity card, driving licence, tax return, salary, pension,
    contract, warranty, manual, software, update, file, photo, video, message, contact, calendar, alarm, reminder,
    song, playlist, podcast, book, newspaper, bus, train, taxi, parking space, recipe, weather forecast, light,
    heating, thermostat, door lock, withdrawal, deposit, balance, statement, fee, charge, limit, interest rate,
    standing order, wallet, contactless payment, online shop, gym membership, library card, school, course, exam,
    homework, job application, interview, landlord, rent, deposit money, water bill, electricity meter, gas bill,
    neighbour, garden, dog, cat, vet, baby, pram, toy, present, wedding, birthday party, holiday, beach, museum,
    concert, football match
"""
PROBLEMS = """
    been declined, not arrived, been charged twice, been cancelled, expired, been stolen, gone missing, not been
    credited, been blocked, been delayed, broken, stopped working, been frozen, been rejected, been reversed,
    disappeared, not been delivered, been damaged, failed, been lost, not shown up, been refused, gone up, been
    closed, been locked, been hacked, arrived late, come with a crack, been returned, not been processed, been
    pending for days, run out, been overcharged, been suspended, been verified, been approved, been changed without
    my knowledge
"""
DEEDS = """
    cancel, change, return, replace, track, activate, order, get, find, close, open, update, verify, reset, unblock,
    pay, pay for, link, add, remove, delete, renew, report, withdraw, transfer, exchange, check, increase, reduce,
    set up, use, buy, sell, repair, download, install, register, book, confirm, share, print, clean, charge,
    connect, turn on, turn off, extend, stop, start, move, send, receive, request, claim, freeze, edit, upgrade,
    cook, learn, fix, switch, reschedule, apply for, sign up for, unsubscribe from, recover, forget, choose, compare
"""
PLACES = """
    France, Germany, Italy, Spain, Japan, China, India, Brazil, Mexico, Canada, Australia, Russia, Poland, Sweden,
    Norway, Finland, Greece, Turkey, Egypt, Kenya, Nigeria, South Africa, Argentina, Chile, Peru, Cuba, London,
    Paris, Berlin, Rome, Madrid, Tokyo, New York, California, Texas, Florida, Ireland, Scotland, Portugal, Vietnam,
    Thailand, Indonesia, Iran, Israel, Ukraine, Hungary, Austria, Switzerland, the Netherlands, Belgium, Denmark,
    Iceland, Boston, Chicago, Moscow, Sydney, Toronto, Korea, Pakistan
"""
PRODUCTS = """
    phone, camera, laptop, tablet, player, router, printer, headset, monitor, keyboard, mouse, hard drive, speaker,
    television, remote, software, vacuum cleaner, coffee maker, blender, stroller, watch, jacket, pair of boots,
    backpack, tent, book, toy, game, chair, mattress, lamp, heater, fan, knife, pan, razor, shampoo, bag,
    restaurant, hotel, service, staff, room, pizza, soup, course, car, bike, app
"""
ASPECTS = """
    battery life, screen, picture quality, sound, sound quality, price, size, weight, design, software, menu,
    interface, manual, customer service, delivery, packaging, build quality, keyboard, lens, zoom, flash, memory,
    speed, display, volume, reception, setup, installation, warranty, colour, fit, smell, taste, material, zip,
    handle, cable, charger, button, remote control, range, support, instructions, value for money, comfort, noise,
    look, features, connection
"""
GOOD = """
    great, excellent, very good, amazing, perfect, superb, easy to use, better than I expected, fantastic,
    outstanding, impressive, crisp and clear, worth every penny, light and handy, reliable, fast, a joy, really
    nice, solid, beautiful, the best I have had
"""
BAD = """
    terrible, awful, poor, too short, disappointing, useless, a nightmare, far too small, flimsy, cheap and plastic,
    not worth it, worse than I expected, too loud, slow, confusing, broken after a week, the worst I have had, hard
    to use, unreliable, a joke, annoying, not very good
"""
MIDDLING = """
    okay, average, nothing special, acceptable, as described, fine for the price, what you would expect, neither
    good nor bad
"""
VERDICTS = """
    would recommend, would not recommend, recommended, will sell, gave
"""
HOW = """
    How do I {do} my {thing}?
    How can I {do} a {thing}?
    Can I {do} my {thing}?
    Is it possible to {do} my {thing}?
    I want to {do} my {thing}
    I need to {do} my {thing}.
    please help me {do} my {thing}
    Where can I {do} a {thing}?
    When can I {do} my {thing}?
    What do I need to {do} a {thing}?
    What happens if I {do} my {thing}?
    Do I have to pay to {do} my {thing}?
    Why can't I {do} my {thing}?
    Is there a fee to {do} a {thing}?
    How much does it cost to {do} a {thing}?
    How long does it take to {do} a {thing}?
    I tried to {do} my {thing} but it did not work
    I would like to {do} my {thing}, how do I do that?
    who do I call to {do} my {thing}
    Could you {do} my {thing} for me?
    I don't know how to {do} the {thing}.
    can someone {do} my {thing} in another country
    Which {thing} should I {do}?
    I no longer want to {do} my {thing}
"""
WRONG = """
    My {thing} has {problem}.
    Why has my {thing} {problem}?
    my {thing} has {problem}, what do I do
    What should I do if my {thing} has {problem}?
    The {thing} I ordered has {problem}
    I think my {thing} has {problem}
    Has my {thing} {problem}?
    How do I know whether my {thing} has {problem}?
    Help, my {thing} has {problem}!
    It says that my {thing} has {problem}, why?
    i just noticed my {thing} has {problem}
    Yesterday my {thing} had {problem} and today my {thing2} has {problem2}.
    Why does the app say that my {thing} has {problem}?
"""
FACTS = """
    What is a {thing}?
    What is the best {thing} in {place}?
    Who invented the {thing}?
    When was the first {thing} made?
    Where is the nearest {thing}?
    How many people have a {thing}?
    How old must you be to have a {thing}?
    What does {thing} mean?
    What colour is the {thing}?
    How far is it from {place} to {place2}?
    What is the capital of {place}?
    Who was the first president of {place}?
    What year did {place} become independent?
    Why do people like {place}?
    What is the population of {place}?
    What language do they speak in {place}?
    Name a river in {place}.
    What is {place} famous for?
    Which country has the most {thing}s?
    How high is the highest mountain in {place}?
    What kind of {thing} do they use in {place}?
    Do you support {place}?
    What currency is used in {place}?
    Who won the war between {place} and {place2}?
"""
OPINIONS = """
    The {aspect} is {view}.
    the {aspect} of this {product} is {view}
    I bought this {product} last month and the {aspect} is {view}.
    I find the {aspect} {view}.
    My only complaint is that the {aspect} is {view2}.
    The {aspect} is {view}, but the {aspect2} is {view2}.
    {aspect} : {view} .
    Great {product}, although the {aspect} is {view2}.
    I would not buy this {product} again: the {aspect} is {view2}.
    For a {product} of this price the {aspect} is {view}.
    This {product} is {view}.
    this {product} was {view} and i {verdict} it to a friend
    The {product} has a {aspect} that is {view}.
    not {view}, but the {aspect} will do
    We had a {product} before, and its {aspect} was {view}.
    it comes with a {aspect} and a {aspect2}
    the {product} has two {aspect}s
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, nargs="+", required=True, help=".jsonl.xz with title and text")
    parser.add_argument("--reviews", type=Path, required=True, help=".parquet with label and text")
    parser.add_argument("--tweets", type=Path, required=True, help=".jsonl.xz with text")
    parser.add_argument("--base", default="wiki-en-small", help="whose words are taught one by one")
    parser.add_argument("--out", type=Path, required=True, help=".jsonl to write")
    arguments = parser.parse_args()
    rng = random.Random(17)
    found: dict[str, list[str]] = {kind: [] for kind in NUMBERS}
    review_of: dict[str, int] = {}
    for kind, text in [*of_articles(arguments.articles, rng), *of_tweets(arguments.tweets)]:
        found[kind].append(text)
    for number, review in enumerate(unlabelled_reviews(arguments.reviews)):
        for kind, text in of_review(review, rng):
            found[kind].append(text)
            review_of[text] = number
    found["made up"] = sorted({made_up(rng) for _ in range(NUMBERS["made up"])})
    tokens = LanguageModel.from_pretrained(arguments.base).vocabulary.tokens
    found["words"] = [token for token in tokens if not token.startswith("xx") and re.search("[a-z]{2}", token)]
    kept = {kind: rng.sample(some, min(len(some), NUMBERS[kind])) for kind, some in found.items()}
    texts = list({text: kind for kind, some in kept.items() for text in some}.items())
    rng.shuffle(texts)
    rows = ({"text": text, "kind": kind, "review": review_of.get(text)} for text, kind in texts)
    write_rows(arguments.out, rows)
    print(f"{arguments.out}: {len(texts):,} texts")


def of_articles(files: list[Path], rng: random.Random) -> Iterator[tuple[str, str]]:
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for article in map(json.loads, lines):
                yield "titles", IN_BRACKETS.sub("", article["title"])
                for paragraph in article["text"].split("\n"):
                    sentences = SENTENCE_END.split(paragraph)
                    yield from of_sentences(sentences, "sentences", fewest=4)
                    if len(sentences) > 1:
                        place = rng.randrange(len(sentences) - 1)
                        pair = " ".join(sentences[place : place + 2])
                        if 20 <= len(pair.split()) <= 60:
                            yield "pairs", pair


def unlabelled_reviews(file: Path) -> list[str]:
    """Those that are no copy of a labelled one, on one line each."""
    reviews = pd.read_parquet(file)
    labelled = set(reviews.text[reviews.label != "unsup"])
    texts = reviews.text[reviews.label == "unsup"].drop_duplicates()
    return [" ".join(text.replace("<br />", " ").split()) for text in texts if text not in labelled]


def of_review(review: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    yield from of_sentences(SENTENCE_END.split(review), "review sentences", fewest=3)
    words = review.split()
    start = rng.choice([0, 0, max(0, len(words) - 50), rng.randrange(len(words))])
    passage = words[start : start + rng.randint(30, 60)]
    if len(passage) >= 20:
        yield "review passages", " ".join(passage)


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def of_tweets(file: Path) -> Iterator[tuple[str, str]]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for tweet in map(json.loads, lines):
            text = " ".join(tweet["text"].split())
            if len(text.split()) > 1:
                yield "tweets", text
                if text.endswith("?"):
                    yield "questions", text


def of_sentences(sentences: list[str], kind: str, *, fewest: int) -> Iterator[tuple[str, str]]:
    for sentence in map(str.strip, sentences):
        words = len(sentence.split())
        if fewest <= words <= 45:
            yield kind, sentence
            if words <= 25 and sentence.endswith("?"):
                yield "questions", sentence


def made_up(rng: random.Random) -> str:
    """A question of a customer or of general knowledge, or an opinion about a product."""
    kind = rng.choices((HOW, WRONG, FACTS, OPINIONS), (40, 18, 12, 30))[0]
    view = rng.choice(listed(rng.choice((GOOD, BAD, GOOD, BAD, MIDDLING))))
    lists = {
        "do": DEEDS,
        "thing": THINGS,
        "thing2": THINGS,
        "problem": PROBLEMS,
        "problem2": PROBLEMS,
        "place": PLACES,
        "place2": PLACES,
        "aspect": ASPECTS,
        "aspect2": ASPECTS,
        "product": PRODUCTS,
        "view2": BAD,
        "verdict": VERDICTS,
    }
    frame = rng.choice([line.strip() for line in kind.strip().splitlines()])
    text = frame.format(view=view, **{name: rng.choice(listed(words)) for name, words in lists.items()})
    return text.lower() if rng.random() < 0.2 else text


def listed(words: str) -> list[str]:
    return " ".join(words.split()).split(", ")


if __name__ == "__main__":
    main()
