"""The built-in newswire world: short made-up news articles with reference summaries.

An article tells one event (an election, a fire, ...) with four *facts*: a person, a place, an organisation and
a number. Three salient sentences state them, every fact at least twice. Around these stand three decoy
sentences, in which another person, place, organisation and number play a lesser role in the same kind of event
(each named at least twice as well, so that counting does not give the answer away), a side note about something
else, a quote and filler. The sentences come in random order, so that position does not give it away either.
A summary has to copy from the article, and has to choose by role what to copy.

All text is plain ASCII; a full stop ends every sentence and stands nowhere else.
"""

import random
import re
from dataclasses import dataclass

FIRST_NAMES = (
    "Adam Anna Carl Clara David Emma Felix Grace Henry Irene Jacob Julia Oscar Paula Robert Vera"
).split()
LAST_NAMES = (
    "Abbott Barker Carver Dalton Ellis Fisher Garner Hobbs Keller Lambert Mercer Norris Quinn Sawyer Tanner Upton"
).split()
PLACES = (
    "Ashford Bexley Corby Denham Elmwood Farley Grimsby Ilford Kendal Ludlow Malton Oakham Preston Redhill Selby Wexford"
).split()
ORGANISATIONS = (
    "Anchor Beacon Compass Diamond Eagle Falcon Granite Harvest Jasper Liberty Meridian Orion Pioneer Raven Summit Titan"
).split()
NUMBERS = [str(number) for number in range(11, 35)]


@dataclass(frozen=True)
class Event:
    """Wordings for one kind of event, with the slots {person} {place} {org} {number}.

    An article holds one wording of each salient group and one of each decoy group, in any order. The groups of
    either sort together name each fact at least twice, whichever wordings are drawn. In decoy sentences the
    slots take the decoys.
    """

    salient: tuple[tuple[str, ...], ...]
    decoy: tuple[tuple[str, ...], ...]
    summary: tuple[str, ...]


EVENTS = (
    Event(  # an election
        salient=(
            (
                "Voters in {place} chose {person} as mayor, so {person} will lead {place}.",
                "The new mayor {person} is from {place}, and {place} cheered {person}.",
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
        decoy=(
            (
                "Last year {place} had chosen {person}, but {person} left {place}.",
                "The rival {person} once led {place}, and {place} knew {person}.",
            ),
            (
                "The losing {org} party got {number} votes, but {number} did not help {org}.",
                "With {number} votes the {org} party lost, as {org} got only {number}.",
            ),
            (
                "In {place} rival {person} of the {org} party lost by {number} votes.",
                "The {org} party lost {place} when rival {person} got {number} votes.",
            ),
        ),
        summary=(
            "{person} was elected mayor of {place}. The {org} candidate won by {number} votes.",
            "{person} of the {org} party was elected mayor of {place} by {number} votes.",
        ),
    ),
    Event(  # a fire
        salient=(
            (
                "A fire broke out in {place}, and chief {person} of {place} sent for {person}'s men.",
                "Flames woke up {place}, so chief {person} came to {place}, as {person} must.",
            ),
            (
                "At the burning {org} mill {number} people were hurt, and {org} helped all {number}.",
                "Smoke hurt {number} people at the {org} mill, and {org} named the {number}.",
            ),
            (
                "In {place} chief {person} got {number} hurt people out of the {org} mill.",
                "The {org} mill in {place} burned until chief {person} had saved {number} people.",
            ),
        ),
        decoy=(
            (
                "Last year {place} had lost guard {person}, and {person} missed {place}.",
                "The guard {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "An older fire at {org} hurt {number} people, and {org} paid the {number}.",
                "With {number} people hurt the {org} shop closed, as {org} feared for {number}.",
            ),
            (
                "In {place} guard {person} of the {org} shop once saw {number} people hurt.",
                "The {org} shop in {place} had told guard {person} of {number} people.",
            ),
        ),
        summary=(
            "A blaze at the {org} mill in {place} injured {number} workers. {person} led the rescue.",
            "{number} workers were injured in a blaze at the {org} mill in {place}. {person} led the rescue.",
        ),
    ),
    Event(  # a merger
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
        decoy=(
            (
                "Last year {place} had seen trader {person}, but {person} left {place}.",
                "The trader {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The old {org} bank lost {number} million, but {number} did not stop {org}.",
                "With {number} million the {org} bank failed, as {org} lost the {number}.",
            ),
            (
                "In {place} trader {person} of the {org} bank lost {number} million.",
                "The {org} bank left {place} when trader {person} lost {number} million.",
            ),
        ),
        summary=(
            "{person} takes over the {org} bank in {place}. The purchase is worth {number} million.",
            "The {org} bank in {place} is taken over by {person} in a purchase worth {number} million.",
        ),
    ),
    Event(  # a match
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
        decoy=(
            (
                "Last year {place} had cheered {person}, but {person} left {place}.",
                "The rival {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The losing {org} club made {number} points, but {number} did not help {org}.",
                "With {number} points the {org} club lost, as {org} got only {number}.",
            ),
            (
                "In {place} rival {person} of the {org} club lost by {number} points.",
                "The {org} club lost {place} when rival {person} made {number} points.",
            ),
        ),
        summary=(
            "{person} scored {number} points as the {org} team beat its opponents in {place}.",
            "The {org} team beat its opponents in {place}. {person} scored {number} points.",
        ),
    ),
    Event(  # a storm
        salient=(
            (
                "A storm hit {place}, and doctor {person} helped {place}, as {person} must.",
                "Strong winds woke up {place}, so doctor {person} came to {place} with {person}'s men.",
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
        decoy=(
            (
                "Last year {place} had lost farmer {person}, and {person} missed {place}.",
                "The farmer {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The old {org} fund built {number} houses, but {number} did not help {org}.",
                "With {number} houses the {org} fund failed, as {org} lost the {number}.",
            ),
            (
                "In {place} farmer {person} of the {org} fund once built {number} houses.",
                "The {org} fund left {place} when farmer {person} lost {number} houses.",
            ),
        ),
        summary=(
            "A storm destroyed {number} homes in {place}. {person} leads the aid work of {org}.",
            "In {place} {number} homes were destroyed by a storm. {person} leads the aid work of {org}.",
        ),
    ),
    Event(  # a trial
        salient=(
            (
                "A judge in {place} sent {person} to jail, so {person} must leave {place}.",
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
        decoy=(
            (
                "Last year {place} had seen lawyer {person}, but {person} left {place}.",
                "The lawyer {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "An older case at {org} took {number} months, and {org} paid the {number}.",
                "With {number} months the {org} bank lost a case, as {org} feared the {number}.",
            ),
            (
                "In {place} lawyer {person} of the {org} bank asked for {number} months.",
                "The {org} bank left {place} when lawyer {person} lost {number} months.",
            ),
        ),
        summary=(
            "{person} was convicted in {place} of stealing from {org}. The sentence is {number} months.",
            "{person} was convicted of stealing from {org} and must spend {number} months in prison in {place}.",
        ),
    ),
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

_NAMES = (
    "Adam Anna Carl Clara David Emma Felix Grace Henry Irene Jacob Julia Oscar Paula Robert Vera"
).split()
LAST_NAMES = (
    "Abbott Barker Carver Dalton Ellis Fisher Garner Hobbs Keller Lambert Mercer Norris Quinn Sawyer Tanner Upton"
).split()
PLACES = (
    "Ashford Bexley Corby Denham Elmwood Farley Grimsby Ilford Kendal Ludlow Malton Oakham Preston Redhill Selby Wexford"
).split()
ORGANISATIONS = (
    "Anchor Beacon Compass Diamond Eagle Falcon Granite Harvest Jasper Liberty Meridian Orion Pioneer Raven Summit Titan"
).split()
NUMBERS = [str(number) for number in range(11, 35)]


@dataclass(frozen=True)
class Event:
    """Wordings for one kind of event, with the slots {person} {place} {org} {number}.

    An article holds one wording of each salient group and one of each decoy group, in any order. The groups of
    either sort together name each fact at least twice, whichever wordings are drawn. In decoy sentences the
    slots take the decoys.
    """

    salient: tuple[tuple[str, ...], ...]
    decoy: tuple[tuple[str, ...], ...]
    summary: tuple[str, ...]


EVENTS = (
    Event(  # an election
        salient=(
            (
                "Voters in {place} chose {person} as mayor, so {person} will lead {place}.",
                "The new mayor {person} is from {place}, and {place} cheered {person}.",
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
        decoy=(
            (
                "Last year {place} had chosen {person}, but {person} left {place}.",
                "The rival {person} once led {place}, and {place} knew {person}.",
            ),
            (
                "The losing {org} party got {number} votes, but {number} did not help {org}.",
                "With {number} votes the {org} party lost, as {org} got only {number}.",
            ),
            (
                "In {place} rival {person} of the {org} party lost by {number} votes.",
                "The {org} party lost {place} when rival {person} got {number} votes.",
            ),
        ),
        summary=(
            "{person} was elected mayor of {place}. The {org} candidate won by {number} votes.",
            "{person} of the {org} party was elected mayor of {place} by {number} votes.",
        ),
    ),
    Event(  # a fire
        salient=(
            (
                "A fire broke out in {place}, and chief {person} of {place} sent for {person}'s men.",
                "Flames woke up {place}, so chief {person} came to {place}, as {person} must.",
            ),
            (
                "At the burning {org} mill {number} people were hurt, and {org} helped all {number}.",
                "Smoke hurt {number} people at the {org} mill, and {org} named the {number}.",
            ),
            (
                "In {place} chief {person} got {number} hurt people out of the {org} mill.",
                "The {org} mill in {place} burned until chief {person} had saved {number} people.",
            ),
        ),
        decoy=(
            (
                "Last year {place} had lost guard {person}, and {person} missed {place}.",
                "The guard {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "An older fire at {org} hurt {number} people, and {org} paid the {number}.",
                "With {number} people hurt the {org} shop closed, as {org} feared for {number}.",
            ),
            (
                "In {place} guard {person} of the {org} shop once saw {number} people hurt.",
                "The {org} shop in {place} had told guard {person} of {number} people.",
            ),
        ),
        summary=(
            "A blaze at the {org} mill in {place} injured {number} workers. {person} led the rescue.",
            "{number} workers were injured in a blaze at the {org} mill in {place}. {person} led the rescue.",
        ),
    ),
    Event(  # a merger
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
        decoy=(
            (
                "Last year {place} had seen trader {person}, but {person} left {place}.",
                "The trader {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The old {org} bank lost {number} million, but {number} did not stop {org}.",
                "With {number} million the {org} bank failed, as {org} lost the {number}.",
            ),
            (
                "In {place} trader {person} of the {org} bank lost {number} million.",
                "The {org} bank left {place} when trader {person} lost {number} million.",
            ),
        ),
        summary=(
            "{person} takes over the {org} bank in {place}. The purchase is worth {number} million.",
            "The {org} bank in {place} is taken over by {person} in a purchase worth {number} million.",
        ),
    ),
    Event(  # a match
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
        decoy=(
            (
                "Last year {place} had cheered {person}, but {person} left {place}.",
                "The rival {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The losing {org} club made {number} points, but {number} did not help {org}.",
                "With {number} points the {org} club lost, as {org} got only {number}.",
            ),
            (
                "In {place} rival {person} of the {org} club lost by {number} points.",
                "The {org} club lost {place} when rival {person} made {number} points.",
            ),
        ),
        summary=(
            "{person} scored {number} points as the {org} team beat its opponents in {place}.",
            "The {org} team beat its opponents in {place}. {person} scored {number} points.",
        ),
    ),
    Event(  # a storm
        salient=(
            (
                "A storm hit {place}, and doctor {person} helped {place}, as {person} must.",
                "Strong winds woke up {place}, so doctor {person} came to {place} with {person}'s men.",
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
        decoy=(
            (
                "Last year {place} had lost farmer {person}, and {person} missed {place}.",
                "The farmer {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "The old {org} fund built {number} houses, but {number} did not help {org}.",
                "With {number} houses the {org} fund failed, as {org} lost the {number}.",
            ),
            (
                "In {place} farmer {person} of the {org} fund once built {number} houses.",
                "The {org} fund left {place} when farmer {person} lost {number} houses.",
            ),
        ),
        summary=(
            "A storm destroyed {number} homes in {place}. {person} leads the aid work of {org}.",
            "In {place} {number} homes were destroyed by a storm. {person} leads the aid work of {org}.",
        ),
    ),
    Event(  # a trial
        salient=(
            (
                "A judge in {place} sent {person} to jail, so {person} must leave {place}.",
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
        decoy=(
            (
                "Last year {place} had seen lawyer {person}, but {person} left {place}.",
                "The lawyer {person} once lived in {place}, and {place} knew {person}.",
            ),
            (
                "An older case at {org} took {number} months, and {org} paid the {number}.",
                "With {number} months the {org} bank lost a case, as {org} feared the {number}.",
            ),
            (
                "In {place} lawyer {person} of the {org} bank asked for {number} months.",
                "The {org} bank left {place} when lawyer {person} lost {number} months.",
            ),
        ),
        summary=(
            "{person} was convicted in {place} of stealing from {org}. The sentence is {number} months.",
            "{person} was convicted of stealing from {org} and must spend {number} months in prison in {place}.",
        ),
    ),
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
    'One neighbor said "we all need some rest now".',
    'A baker said "people will talk about this for years".',
    'One student said "the street was full and loud".',
    'A nurse said "I am glad that it is over".',
)
FILLERS = (
    "The weather stayed cold and gray all day.",
    "More news is to follow in the evening.",
    "Many people watched it live on the radio.",
    "The police closed two roads until noon.",
    "Nobody could say what comes next.",
    "Traffic was slow near the river.",
)

_NAMES = (*LAST_NAMES, *PLACES, *ORGANISATIONS)
_FACT = re.compile(r"\b(?:" + "|".join(_NAMES) + r"|\d+)\b")


def generate(
    rows: int, seed: int, split: str = "train", side_notes: int = 1, fillers: int = 1
) -> list[dict[str, str]]:
    """Make `rows` articles with summaries: dictionaries with the keys id, article and summary.

    The same arguments give the same rows; another seed or split gives unrelated ones. No two rows of a call
    share an article. `side_notes` sentences about something else and `fillers` quotes or fillers go into each
    article; each adds about 9 words.
    Raises ValueError for a negative count, an empty split or more side notes or fillers than there are.
    """
    _check_count("rows", rows, None)
    _check_count("side_notes", side_notes, len(SIDE_NOTES))
    _check_count("fillers", fillers, len(QUOTES) + len(FILLERS))
    if not split:
        raise ValueError("split must be a name such as 'train'")
    source = random.Random(f"newswire/{seed}/{split}")
    seen: set[str] = set()
    made = []
    while len(made) < rows:
        article, summary = _write(source, side_notes, fillers)
        if article not in seen:
            seen.add(article)
            made.append({"id": f"newswire-{split}-{len(made) + 1:06d}", "article": article, "summary": summary})
    return made


def facts(text: str) -> list[str]:
    """Return the facts that a text mentions, in order and with repeats: last names, places, organisations
    and numbers. A first name alone is no fact."""
    return _FACT.findall(text)


def _check_count(name: str, value: int, largest: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more, not {value!r}")
    if largest is not None and value > largest:
        raise ValueError(f"{name} must be at most {largest}, not {value}")


def _write(source: random.Random, side_notes: int, fillers: int) -> tuple[str, str]:
    """Write one article and its summary."""
    event = source.choice(EVENTS)
    cast = _casts(source, 2 + side_notes)
    story = [source.choice(group).format(**cast[0]) for group in event.salient]
    decoys = [source.choice(group).format(**cast[1]) for group in event.decoy]
    notes = source.sample(SIDE_NOTES, side_notes)
    extras = [note.format(**slots) for note, slots in zip(notes, cast[2:], strict=True)]
    extras += source.sample(QUOTES + FILLERS, fillers)
    sentences = _order(source, story, decoys, extras)
    article = _introduce(source, " ".join(sentences), [slots["person"] for slots in cast])
    return article, source.choice(event.summary).format(**cast[0])


def _order(source: random.Random, story: list[str], decoys: list[str], extras: list[str]) -> list[str]:
    """Shuffle story and decoys each within itself, put either first, and drop the extras in anywhere.

    They are not mixed, because a small model learns to copy only where a name soon comes back.
    """
    blocks = [source.sample(story, len(story)), source.sample(decoys, len(decoys))]
    source.shuffle(blocks)
    sentences = blocks[0] + blocks[1]
    for extra in extras:
        sentences.insert(source.randint(0, len(sentences)), extra)
    return sentences


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
    """Give each person a first name ."""
    for first, last in zip(source.sample(FIRST_NAMES, len(people)), people, strict=True):
        article = article.replace(last, f"{first} {last}", 1)
    return article
