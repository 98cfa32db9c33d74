"""The columns of every table of pairs: token ids of both runs, where the targets start, what was replaced."""

from rewire.tables import schema

SCHEMA = schema(
    id="string",
    clean="list<int32>",
    corrupted="list<int32>",
    target_start="int32",
    masked_spans="list<list<int32>>",
    sentence_spans="list<list<int32>>",
    sentence_scores="list<double>",
)
