"""The built-in newswire world: short made-up news articles with reference summaries.

An article tells one event (an election, a fire, ...) with four *facts*: a person, a place, an organisation
and a number. Three salient sentences state them, every fact at least twice. Around these stand three decoy
sentences, in which another person, place, organisation and number play a lesser role (each named at least
twice as well, so that counting does not give the answer away), a side note about something else, and filler.
The order of the sentences is random, so that position does not give it away either. A summary has to copy
from the article, and has to choose by role what to copy.

All text is plain ASCII; a full stop ends every sentence and stands nowhere else.
"""

import random
import re
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Adam Anna Carl Clara David Emma Felix Grace Henry Irene Jacob Julia Oscar Paula Robert Vera"
)
LAST_NAMES = _words(
    "Abbott Barker Carver Dalton Ellis Fisher Garner Hobbs Keller Lambert Mercer Norris Quinn Sawyer "
    "Tanner Upton"
)
PLACES = _words(
    "Ashford Bexley Corby Denham Elmwood Farley Grimsby Ilford Kendal Ludlow Malton Oakham Preston "
    "Redhill Selby Wexford"
)
ORGANISATIONS = _words(
    "Anchor Beacon Compass Diamond Eagle Falcon Granite Harvest Jasper Liberty Meridian Orion Pioneer "
    "Raven Summit Titan"
)
NUMBERS = tuple(str(number) for number in range(11, 35))


@dataclass(frozen=True)
class Event:
    """Wordings for one kind of event, with the slots {person} {place} {org} {number}.

    salient: an article holds one wording of each group; together they name each fact at least twice.
    summary: wordings of the reference summary.
    role, body, unit: what the person, organisation and number of the decoy sentences are in this event.
    """

    role: str
    body: str
    unit: str
    salient: tuple[tuple[str, ...], ...]
    summary: tuple[str, ...]


EVENTS = (
    Event(  # an election
        role="rival",
        body="party",
        unit="votes",
        salient=(
            (
                "Voters in {place} chose mayor {person}, so {person} will lead {place}.",
                "The new mayor {person} lives in {place}, and {place} cheered {person}.",
            ),
            (
                "The winning {org} party led by {number} votes, and {org} needed all {number}.",
                "With {number} votes the {org} party won, as {org} got {number} more.",
            ),
            (
                "In {place} mayor {person} of the {org} party won by {number} votes.",
                "The {org} party gave {place} a mayor in {person} by {number} votes.",
            ),
        ),
        summary=(
            "{person} was elected mayor of {place}. The {org} candidate won by {number} votes.",
            "{person} of the {org} party was elected mayor of {place} by {number} votes.",
        ),
    ),
    Event(  # a fire
        role="guard",
        body="shop",
        unit="people",
        salient=(
            (
                "A fire broke out in {place}, so chief {person} came to {place}, as {person} must.",
                "The fire chief {person} lives in {place}, and {place} thanked {person}.",
            ),
            (
                "At the burning {org} mill {number} people were hurt, and {org} helped all {number}.",
                "With {number} people hurt the {org} mill closed, as {org} named all {number}.",
            ),
            (
                "In {place} chief {person} got {number} hurt people out of the {org} mill.",
                "The {org} mill in {place} burned until chief {person} had saved {number} people.",
            ),
        ),
        summary=(
            "A blaze at the {org} mill in {place} injured {number} workers. {person} led the rescue.",
            "{number} workers were injured in a blaze at the {org} mill in {place}. {person} led the rescue.",
        ),
    ),
    Event(  # a merger
        role="trader",
        body="bank",
        unit="million",
        salient=(
            (
                "The buyer {person} came to {place} for the deal, and {place} liked {person}.",
                "The deal was signed in {place} by buyer {person}, as {person} loves {place}.",
            ),
            (
                "The {org} bank was sold for {number} million, and {org} wanted all {number}.",
                "With {number} million the {org} bank is sold, as {org} asked for {number}.",
            ),
            (
                "In {place} buyer {person} got the {org} bank for {number} million.",
                "The {org} bank in {place} goes to buyer {person} for {number} million.",
            ),
        ),
        summary=(
            "{person} takes over the {org} bank in {place}. The purchase is worth {number} million.",
            "The {org} bank in {place} is taken over by {person} in a purchase worth {number} million.",
        ),
    ),
    Event(  # a match
        role="rival",
        body="club",
        unit="points",
        salient=(
            (
                "The star {person} played the final in {place}, and {place} cheered {person}.",
                "Fans in {place} carried star {person}, as {person} had won for {place}.",
            ),
            (
                "The winning {org} club made {number} points, and {org} needed all {number}.",
                "With {number} points the {org} club won, as {org} got {number} more.",
            ),
            (
                "In {place} star {person} of the {org} club won by {number} points.",
                "The {org} club won the final in {place} when star {person} made {number} points.",
            ),
        ),
        summary=(
            "{person} scored {number} points as the {org} team beat its opponents in {place}.",
            "The {org} team beat its opponents in {place}. {person} scored {number} points.",
        ),
    ),
    Event(  # a storm
        role="farmer",
        body="fund",
        unit="houses",
        salient=(
            (
                "A storm hit {place}, so doctor {person} came to {place}, as {person} must.",
                "The storm doctor {person} lives in {place}, and {place} thanked {person}.",
            ),
            (
                "The {org} relief is for {number} broken houses, and {org} will fix all {number}.",
                "With {number} houses broken the {org} relief came, as {org} will fix {number}.",
            ),
            (
                "In {place} doctor {person} of the {org} relief saw {number} broken houses.",
                "The {org} relief came to {place} when doctor {person} found {number} broken houses.",
            ),
        ),
        summary=(
            "A storm destroyed {number} homes in {place}. {person} leads the aid work of {org}.",
            "In {place} {number} homes were destroyed by a storm. {person} leads the aid work of {org}.",
        ),
    ),
    Event(  # a trial
        role="lawyer",
        body="bank",
        unit="months",
        salient=(
            (
                "A judge in {place} sent thief {person} to jail, so {person} must leave {place}.",
                "The thief {person} lived in {place}, and {place} feared {person}.",
            ),
            (
                "The robbed {org} shop asked for {number} months, and {org} got all {number}.",
                "With {number} months in jail the {org} shop is glad, as {org} asked for {number}.",
            ),
            (
                "In {place} thief {person} of the {org} shop got {number} months in jail.",
                "The {org} shop in {place} saw thief {person} go for {number} months.",
            ),
        ),
        summary=(
            "{person} was convicted in {place} of stealing from {org}. The sentence is {number} months.",
            "{person} was convicted of stealing from {org} in {place} and must spend {number} months in prison.",
        ),
    ),
)

# The lesser parts; {role} {body} {unit} come from the event. Marked wordings flag the decoy with words such as
# "near", "old" and "only"; plain ones do not, so that the model has to know the roles themselves.
MARKED_DECOYS = (
    (
        "Last year the {role} {person} was near {place}, but {person} left {place}.",
        "The {role} {person} once lived near {place}, and {place} knew {person}.",
    ),
    (
        "The old {org} {body} had only {number} {unit}, but {number} did not help {org}.",
        "With only {number} {unit} the old {org} {body} failed, as {org} lost the {number}.",
    ),
    (
        "Near {place} the {role} {person} of the old {org} {body} had only {number} {unit}.",
        "The old {org} {body} near {place} told the {role} {person} of only {number} {unit}.",
    ),
)
PLAIN_DECOYS = (
    ("Last year the {role} {person} was in {place}, but {person} left {place}.",),
    ("Last year the {org} {body} had {number} {unit}, but {number} did not help {org}.",),
    ("In {place} the {role} {person} of the {org} {body} once had {number} {unit}.",),
)

SIDE_NOTES = (  # about something else: a further person, place, organisation or number
    "A school in {place} opens {number} new rooms.",
    "The painter {person} shows {number} works next week.",
    "The singer {person} will play in {place} on Sunday.",
    "Bus line {number} to {place} is late again.",
    "The {org} museum has {number} new stones.",
    "The {org} shop in {place} opens on Monday.",
)
QUOTES = (
    'A visitor said "it was a long and hard day".',
    'A teacher said "we did not see this coming".',
    'A nurse said "I am glad that it is over".',
    'One student said "the street was loud".',
)
FILLERS = (  # with the words that summaries use and the sentences about the events do not
    "Elsewhere no homes were destroyed by the blaze.",
    "A young candidate was elected to the school board.",
    "The school team beat its opponents and scored twice.",
    "Injured workers spend the week in bed.",
    "A clerk was convicted of stealing in prison.",
    "A rescue dog takes over the aid work.",
    "The purchase is worth it.",
    "A judge leads the choir, and the sentence is a song.",
)

_NAMES = (*LAST_NAMES, *PLACES, *ORGANISATIONS)
_FACT = re.compile(r"\b(?:" + "|".join(_NAMES) + r"|\d+)\b")


def generate(
    rows: int,
    seed: int,
    split: str = "train",
    side_notes: int = 1,
    fillers: int = 1,
    plain_decoys: float = 0.25,
) -> list[dict[str, str]]:
    """Make `rows` articles with summaries: dictionaries with the keys id, article and summary.

    The same arguments give the same rows; another seed or split gives unrelated ones. No two rows of a call
    share an article. `side_notes` sentences about something else and `fillers` quotes or fillers go into each
    article; each adds about 8 words. `plain_decoys` is the share (0 to 1) of decoy sentences that no word
    marks as such: the higher, the harder.
    Raises ValueError for a count below 0, for more side notes or fillers than there are, for a share outside
    0 to 1, for a seed that is no whole number and for a split that could not be part of an id.
    """
    _check_count("rows", rows, None)
    _check_count("side_notes", side_notes, len(SIDE_NOTES))
    _check_count("fillers", fillers, len(QUOTES) + len(FILLERS))
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    if not isinstance(split, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", split):
        raise ValueError(f"split must be letters, digits, '-' or '_', not {split!r}")
    if (
        isinstance(plain_decoys, bool)
        or not isinstance(plain_decoys, int | float)
        or not 0 <= plain_decoys <= 1
    ):
        raise ValueError(f"plain_decoys must be a share from 0 to 1, not {plain_decoys!r}")
    source = random.Random(f"newswire/{seed}/{split}")
    seen: set[str] = set()
    made: list[dict[str, str]] = []
    while len(made) < rows:
        article, summary = _write(source, side_notes, fillers, plain_decoys)
        if article not in seen:
            seen.add(article)
            made.append(
                {"id": f"newswire-{split}-{len(made) + 1:06d}", "article": article, "summary": summary}
            )
    return made


def facts(text: str) -> list[str]:
    """Return the names and numbers that a text mentions, in order and with repeats.

    Names are last names, places and organisations. A first name alone is no fact: summaries leave it out.
    """
    return _FACT.findall(text)


def sentences(article: str) -> list[str]:
    """Split an article of this world into its sentences; joined by spaces they are the article again."""
    return re.findall(r"[^.\s][^.]*\.", article)


def _check_count(name: str, value: int, largest: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more, not {value!r}")
    if largest is not None and value > largest:
        raise ValueError(f"{name} must be at most {largest}, not {value}")


def _write(source: random.Random, side_notes: int, fillers: int, plain_decoys: float) -> tuple[str, str]:
    """Write one article and its summary."""
    event = source.choice(EVENTS)
    cast = _casts(source, 2 + side_notes)
    story = [source.choice(group).format(**cast[0]) for group in event.salient]
    lesser = {"role": event.role, "body": event.body, "unit": event.unit, **cast[1]}
    decoys = [
        source.choice(plain if source.random() < plain_decoys else marked).format(**lesser)
        for marked, plain in zip(MARKED_DECOYS, PLAIN_DECOYS, strict=True)
    ]
    notes = source.sample(SIDE_NOTES, side_notes)
    extras = [note.format(**slots) for note, slots in zip(notes, cast[2:], strict=True)]
    extras += source.sample(QUOTES + FILLERS, fillers)
    ordered = _order(source, story, decoys, extras)
    article = _introduce(source, " ".join(ordered), [slots["person"] for slots in cast])
    return article, source.choice(event.summary).format(**cast[0])


def _order(source: random.Random, story: list[str], decoys: list[str], extras: list[str]) -> list[str]:
    """Put the sentences of an article in random order.

    In half of the articles story and decoys stay apart (either first): a small model learns to copy where a
    name soon comes back. In the others all are mixed: there it has to tell by role which name comes back.
    """
    blocks = [source.sample(story, len(story)), source.sample(decoys, len(decoys))]
    source.shuffle(blocks)
    ordered = blocks[0] + blocks[1]
    if source.random() < 0.5:
        source.shuffle(ordered)
    for extra in extras:
        ordered.insert(source.randint(0, len(ordered)), extra)
    return ordered


def _casts(source: random.Random, count: int) -> list[dict[str, str]]:
    """Draw `count` fillings of the slots that share no name and no number."""
    drawn = {
        "person": source.sample(LAST_NAMES, count),
        "place": source.sample(PLACES, count),
        "org": source.sample(ORGANISATIONS, count),
        "number": source.sample(NUMBERS, count),
    }
    return [{slot: values[index] for slot, values in drawn.items()} for index in range(count)]


def _introduce(source: random.Random, article: str, people: list[str]) -> str:
    """Put a first name before the first mention of each person, as a newspaper does."""
    for first, last in zip(source.sample(FIRST_NAMES, len(people)), people, strict=True):
        article = article.replace(last, f"{first} {last}", 1)
    return article
