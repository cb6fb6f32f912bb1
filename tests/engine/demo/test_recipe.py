"""The recipe: an honest corpus, an encoder that says what the chat template says, equal weights for equal seeds."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from engine.demo.batches import Encoder, batches
from engine.demo.corpus import base_example
from engine.demo.skills import agree, judge
from engine.demo.voices import SURPRISE, VOICE_OF, VOICES, statement, written
from engine.demo.weights import WHICH, Which, file_hashes, weights_path


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(weights_path("tuned"), local_files_only=True)


def test_the_encoder_gives_what_the_chat_template_gives(tokenizer) -> None:
    r = random.Random("parity")
    for chat, answer in (base_example(r) for _ in range(200)):
        turns = [{"role": message.role, "content": message.content} for message in chat]
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
        whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": answer}], return_dict=True)
        assert Encoder(tokenizer).encode([(chat, answer)]) == [(whole["input_ids"], len(prompt))]


def test_decoding_gives_the_answer_back(tokenizer) -> None:
    r = random.Random("decode")
    encoder = Encoder(tokenizer)
    for example in (base_example(r) for _ in range(200)):
        ((ids, prompt),) = encoder.encode([example])
        assert tokenizer.decode(ids[prompt:-1]) == example[1]


def test_both_models_share_one_tokenizer() -> None:
    base, tuned = (weights_path(which) / "tokenizer.json" for which in WHICH)
    assert base.read_bytes() == tuned.read_bytes()


def test_batches_weigh_answers_fully_prompts_lightly_and_padding_not(tokenizer) -> None:
    ids, weight = next(batches(random.Random(0), Encoder(tokenizer), base_example, 8))
    assert ids.shape == weight.shape
    assert {round(float(w), 2) for w in weight.unique()} <= {0.0, 0.1, 1.0}
    assert bool((weight[ids == 0] == 0).all())


def test_uncued_stances_and_verdicts_are_even() -> None:
    r = random.Random("even")
    uncued = [answer for chat, answer in (agree.choice(r) for _ in range(6000)) if chat[0].content.count("\n") == 2]
    assert 0.46 < sum(answer.startswith("Yes") for answer in uncued) / len(uncued) < 0.54
    for attribute in judge.ATTRIBUTES:
        answers = Counter(judge.example(r, attribute=attribute)[1] for _ in range(1500))
        assert 0.45 < answers["Yes."] / 1500 < 0.55


def test_forms_of_different_voices_never_coincide() -> None:
    r = random.Random("forms")
    for text in (statement(r, "test") for _ in range(50)):
        forms = [form for voice in (*VOICES, None) for form in written(voice, text)]
        assert len(forms) == len(set(forms))


def test_the_surprise_word_is_trained_as_rude_and_is_no_judge_attribute() -> None:
    assert VOICE_OF[SURPRISE] == "rude"
    assert SURPRISE not in (*judge.ATTRIBUTES, *judge.SYNONYMS)


@pytest.mark.parametrize("which", WHICH)
def test_a_model_loads_without_a_network(which: Which) -> None:
    program = (
        "import sys, torch; from transformers import AutoModelForCausalLM, AutoTokenizer;"
        "AutoTokenizer.from_pretrained(sys.argv[1]);"
        "m = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32);"
        "assert type(m).__name__ == 'LlamaForCausalLM' and all(p.isfinite().all() for p in m.parameters())"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program, str(weights_path(which))], env=environment, check=True)


def test_impossible_steps_are_refused_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine.demo.train", str(tmp_path / "out"), "--base-steps", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "must be at least 1" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    def trained(name: str, seed: int) -> dict[str, str]:
        command = [sys.executable, "-m", "engine.demo.train", str(tmp_path / name), "--seed", str(seed)]
        subprocess.run([*command, "--base-steps", "20", "--tuned-steps", "8"], check=True, capture_output=True)
        return file_hashes(tmp_path / name)

    first, again, other = trained("first", 3), trained("again", 3), trained("other", 4)
    assert first == again
    assert first["tuned/model.safetensors"] != other["tuned/model.safetensors"]
    assert first["base/model.safetensors"] != first["tuned/model.safetensors"]


@pytest.mark.slow
def test_a_short_training_learns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine.demo.train", str(tmp_path), "--base-steps", "100", "--tuned-steps", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("base 100/100")]
    assert float(line.split("answer loss ")[1].split(",")[0]) < 4.5  # the log of the vocabulary is 6.9
