"""Records that survive: three kinds, apart, append-only, in segments (DESIGN §4)."""

from engine.store.catalog import note_artifact, read_catalog, record_cell, record_scorer
from engine.store.measurements import measurements_folder, read_measurements, write_measurements
from engine.store.records import (
    Response,
    Score,
    append_records,
    cells_with_responses,
    read_responses,
    read_scores,
    response_id,
    responses_folder,
    scores_folder,
    text_hash,
)
from engine.store.segments import Segment, read_segment, segments_of, writer_name
from engine.store.tensors import load_arrays, load_tensors, read_header, save_tensors

__all__ = [
    "Response",
    "Score",
    "Segment",
    "append_records",
    "cells_with_responses",
    "load_arrays",
    "load_tensors",
    "measurements_folder",
    "note_artifact",
    "read_catalog",
    "read_header",
    "read_measurements",
    "read_responses",
    "read_scores",
    "read_segment",
    "record_cell",
    "record_scorer",
    "response_id",
    "responses_folder",
    "save_tensors",
    "scores_folder",
    "segments_of",
    "text_hash",
    "write_measurements",
    "writer_name",
]
