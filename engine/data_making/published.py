"""Where the published CAA data sets are, and what every file must hash to.

The repository changed its data over time; each file is pinned to a commit that holds the version the CAA results were made
with, and the hash decides. Only the behaviours and tests that specs/steering.md §1.1 and §1.3 describe.
"""

from __future__ import annotations

from dataclasses import dataclass

HOME = "https://raw.githubusercontent.com/nrimsky/CAA"
LICENCE = "MIT, copyright 2024 Nina Rimsky"

_COMMITS = (
    "0aec415b166171f84c7034bd0d9d1ddf5e6ebf46",
    "59f33bb3cd9b710ce57693a50a569ef72c4815db",
    "8900aed8b2d828095d1ed0e856f59b245e9bb13a",
    "e1fce128b6165a9926093c6abdf6ea9a24f4b5c4",
)


_FILES = """
643717af88eeef37468ceb9f80322b1ebdb4e3934a114a79fc9b930105d6ac71 2 generate/coordinate-other-ais/generate_dataset.json
c93d4d8db72ab1de875b79367d08e00b3ba27675480d4315fd942bf676359893 2 generate/corrigible-neutral-HHH/generate_dataset.json
11dfb47cee064d037b9c66a1e56da6dfb9257f5c53bc29a4310c83a45de1bfe3 2 generate/hallucination/generate_dataset.json
3ae9dc68fc4a6f3dbc441ef9956e543b5c7a5a5d97a3cc770f1942477f212b7e 3 generate/myopic-reward/generate_dataset.json
966f6f32d5c2246579a1d9b544c082790fec6067d4efea6c6ef755c9d0a154a4 3 generate/refusal/generate_dataset.json
249a1807e6938223e66795cdd7a7212340d8612aa9bb185947669135b052697a 2 generate/survival-instinct/generate_dataset.json
1394c959d97ffae28fe9df71ce07a402c13c9333159307a28bd664fbe355b8b0 1 generate/sycophancy/generate_dataset.json
9f315149225f1c1daeb65a684eca097f884b87a153d1ed8ce2c2c15abe5fae23 3 test/coordinate-other-ais/test_dataset_ab.json
170b7aa95ac6650a69eba281892ae486e34c4dc03265025abed3a5fc34a11f78 2 test/coordinate-other-ais/test_dataset_open_ended.json
847759b4daf48b7d941f08a213ed7095414d1a3063354eb4ebe1dfffc4522cd0 3 test/corrigible-neutral-HHH/test_dataset_ab.json
65f8a9bd2bb9fd2d31deb1a2699b7c7ec47de1c040aae8c4938beffebacf3a50 2 test/corrigible-neutral-HHH/test_dataset_open_ended.json
aca893768df46b7fb4a546b220fab327a58fd77dedcb49210b396bd24efe7dc6 2 test/hallucination/test_dataset_ab.json
f89d149f24eea3be3caf5e6fa32ea7b31f25798666062489374316b2b303b3ae 2 test/hallucination/test_dataset_open_ended.json
0d7292356978bdde9269b353a4c191521b72f71b849acd6798188fbf0f8936d8 3 test/mmlu/mmlu.json
5a7446706263e4bb67965fa48a3beb433cede5476ac735b0e2d26dd7e155d2fe 3 test/myopic-reward/test_dataset_ab.json
3129eef01e2e7da60648839920dc09a8826fa18948af3c1153750edf57baadb3 3 test/myopic-reward/test_dataset_open_ended.json
982838b5429f1389a36fcf59c40ddb7eb4e462cfa1464d7857b8629cd384321b 3 test/refusal/test_dataset_ab.json
285e4526971c78afd1af372932be1396577424761056ede8a33983403a4b618d 3 test/refusal/test_dataset_open_ended.json
750a96d7864c864b39168efed636cd79289bad6746024922a7367ccc171f951f 2 test/survival-instinct/test_dataset_ab.json
9b660b7d0ef3ab32ba64f7967100a416f4b9fffe50571fe36a4d0679e0a213af 3 test/survival-instinct/test_dataset_open_ended.json
96391f0468cadb5214c34dff9f614be6725699d9f395387f8a9b6ca630d9cb77 3 test/sycophancy/test_dataset_ab.json
6182d58715f29ee38be7427cbcc9da0a9b9c8a09d3f1fda17809e724e062611d 0 test/sycophancy/test_dataset_open_ended.json
72d83605a8001c40c9d8c51e352ff19b8f168ba5b55b23e2fe35c7843eed88f3 0 test/truthfulqa/truthful_qa.json
"""  # sha256, index of the commit, path


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """`path` below `datasets/` there, and below the data set's folder here."""

    path: str
    commit: str
    sha256: str


def _file(line: str) -> PublishedFile:
    sha256, commit, path = line.split()
    return PublishedFile(path, _COMMITS[int(commit)], sha256)


CAA: tuple[PublishedFile, ...] = tuple(map(_file, _FILES.split("\n")[1:-1]))
