"""P15: the published repositories' file names, there and back, and found by exact keys only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.settings import canonical_number
from engine.steering.originals import (
    CAAName,
    CAAVectorName,
    SteeringLlama3Name,
    SteeringLlama3Settings,
    find,
    parse_caa,
    parse_caa_vector,
    parse_steering_llama3,
)

REFUSAL = SteeringLlama3Settings(dataset="ab", behavior="refusal", layer=15, leace="orth")
EVERYWHERE = SteeringLlama3Settings(dataset="ab", behavior="refusal", layer="all", residual=True, logit=True)
NAMES = {  # what is said, and the name the repository gives it
    SteeringLlama3Name("responses", REFUSAL, 0.5): (
        "artifacts/responses/responses_Mllama3_Dab_Brefusal_L15_T1.5_Corth_X0.5.json"
    ),
    SteeringLlama3Name("responses", EVERYWHERE, -1.0): (
        "artifacts/responses/responses_Mllama3_Dab_Brefusal_Rres_Glog_Lall_T1.5_X-1.0.json"
    ),
    SteeringLlama3Name("vec", SteeringLlama3Settings(layer=3, scrub=True)): "artifacts/vecs/vec_Mllama3_Dprompts_L3_Sscrub.pt",
    SteeringLlama3Name("eraser", SteeringLlama3Settings(layer=3)): "artifacts/vecs/eraser_Mllama3_Dprompts_L3.pt",
    SteeringLlama3Name(
        "acts", SteeringLlama3Settings(layer=3), positive=False
    ): "artifacts/acts/acts_Mllama3_Dprompts_L3_P-.pt",
    SteeringLlama3Name("plot", SteeringLlama3Settings(temp=1.0, toks="before")): "plots/plot_Mllama3_Dprompts_T1.0_Kbefore.png",
    CAAName(13, 1.0): (
        "results/sycophancy/results_layer=13_multiplier=1.0_behavior=sycophancy_type=ab_use_base_model=False_model_size=7b.json"
    ),
    CAAName(13, -0.5, "refusal", "open_ended", "pos", 15, "Llama-2-7b-hf", True, "13b", "tuned/a_all.pt"): (
        "results/refusal/results_layer=13_multiplier=-0.5_behavior=refusal_type=open_ended_system_prompt=pos_override_vector=15_"
        "override_vector_model=Llama-2-7b-hf_use_base_model=True_model_size=13b_override_model_weights_path=tuned-a_all.pt.json"
    ),
}


def parse(path: str):
    return (parse_caa if "results_" in path else parse_steering_llama3)(path)


@pytest.mark.parametrize("said", NAMES, ids=[PurePosixPath(path).name for path in NAMES.values()])
def test_p15_names_as_published_and_back(said):
    assert said.path() == NAMES[said]
    for path in (NAMES[said], PurePosixPath(NAMES[said]).name):
        slashless = replace(said, override_model_weights_path="tuned-a_all.pt") if "tuned" in path else said
        assert parse(path) == slashless


words = st.text("abcdefghijklmnopqrstuvwxyz-0123456789.+=", min_size=1, max_size=12)
numbers = st.floats(-100, 100).map(lambda value: float(canonical_number(value)))
llama3 = st.builds(
    SteeringLlama3Settings,
    model=words,
    dataset=words,
    leace=st.none() | words,
    temp=numbers,
    layer=st.none() | st.integers(0, 99) | st.just("all"),
    residual=st.booleans(),
    logit=st.booleans(),
    toks=st.sampled_from([None, "before", "after"]),
    behavior=st.none() | words,
    scrub=st.booleans(),
)


@given(llama3, numbers)
def test_p15_every_setting_of_steering_llama3_survives_its_name(settings, multiplier):
    said = SteeringLlama3Name("responses", settings, multiplier)
    assert parse_steering_llama3(said.path()) == said
    assert parse_steering_llama3(said.path()).path() == said.path()


@given(
    st.builds(
        CAAName,
        layer=st.integers(0, 99),
        multiplier=numbers,
        behavior=words.filter(lambda word: "=" not in word),
        type=st.sampled_from(["ab", "open_ended", "truthful_qa", "mmlu"]),
        system_prompt=st.sampled_from([None, "pos", "neg"]),
        override_vector=st.none() | st.integers(0, 99),
        override_vector_model=st.none() | st.text("abL-2_.", min_size=1),
        use_base_model=st.booleans(),
        model_size=st.sampled_from(["7b", "13b"]),
        override_model_weights_path=st.none() | st.text("abL-2_.", min_size=1),
    )
)
def test_p15_every_setting_of_caa_survives_its_name(said):
    assert parse_caa(said.path()) == said


def test_files_are_found_by_exact_keys():
    """The originals took the first file whose name contained "layer=1" and "multiplier=1"."""
    wanted = CAAName(1, 1.0)
    others = [CAAName(layer, m) for layer in (1, 10, 13, 19) for m in (1.0, 1.5, 0.5, -1.0)]
    names = [one.path() for one in others]
    assert find([*names, "results_notes.json", "README.md"], wanted) == [wanted.path()]
    vectors = [f"vec_layer_{layer}_Llama-2-7b-chat-hf.pt" for layer in (1, 10, 11)]
    assert find(vectors, CAAVectorName(1, "Llama-2-7b-chat-hf")) == vectors[:1]


def test_multipliers_have_one_text():
    said = SteeringLlama3Name("responses", REFUSAL, 0.1 + 0.2)
    assert said.path() == SteeringLlama3Name("responses", REFUSAL, 0.3).path()
    published = said.path().replace("X0.3", "X0.30000000000000004")
    assert parse_steering_llama3(published).multiplier == 0.3
    zero = SteeringLlama3Name("responses", REFUSAL, -0.0).path()
    assert zero.endswith("X0.0.json")
    assert find([zero.replace("X0.0", "X-0.0")], SteeringLlama3Name("responses", REFUSAL, 0.0)) != []


def test_vectors_of_caa_say_layer_and_model():
    said = parse_caa_vector("normalized_vectors/refusal/vec_layer_13_Llama-2-13b-chat-hf.pt")
    assert said == CAAVectorName(13, "Llama-2-13b-chat-hf")
    assert said.path("refusal", normalised=True) == "normalized_vectors/refusal/vec_layer_13_Llama-2-13b-chat-hf.pt"


NO_NAMES = [
    "responses_Mllama3.json",  # no data set
    "responses_Mllama3_Dab_L15_L16_X0.5.json",  # a field twice
    "responses_Dab_Mllama3_X0.5.json",  # out of order
    "responses_Mllama3_Dab_Rfoo.json",
    "responses_Mllama3_Dab_Lmiddle.json",
    "responses_Mllama3_Dab_Kduring.json",
    "responses_Mllama3_Dab_Xmuch.json",
    "responses_Mllama3_Dab_Xnan.json",
    "responses_Mllama3_Dab__X1.0.json",
    "notes_Mllama3_Dab.json",
    "results_layer=13_behavior=a_type=ab.json",  # no multiplier
    "results_multiplier=1.0_layer=13_behavior=a_type=ab.json",
    "results_xlayer=13_multiplier=1.0_behavior=a_type=ab.json",
    "results_layer=13_multiplier=1.0_behavior=a_type=quiz.json",
    "results_layer=-1_multiplier=1.0_behavior=a_type=ab.json",
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_one_sentence(name):
    with pytest.raises(InputError, match="is no file name of"):
        parse(name)


def test_a_value_that_would_break_its_name_is_refused():
    with pytest.raises(InputError, match="separate its parts"):
        SteeringLlama3Name("vec", SteeringLlama3Settings(model="my_model")).path()
