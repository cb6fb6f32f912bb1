"""Prompts out of every form of file, known by their text; and how either model is shown one."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.pairs.pair import Pair
from engine.cd.prompts.asked import AskedPrompt, asked_prompt, encode, read_prompts
from engine.cd.settings import PairSettings, PromptSettings
from engine.data import Message
from engine.errors import InputError

PUBLISHED = Path(__file__).parents[5] / "shared" / "data" / "cd"


def texts(path: Path | str, **options) -> list[str]:
    return [prompt.text for prompt in read_prompts(PromptSettings(prompts=str(path), **options))]


def refused(path: Path | str, **options) -> str:
    with pytest.raises(InputError) as caught:
        texts(path, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- names ---


def test_a_prompt_is_known_by_its_text_alone(tmp_path):
    there = written(tmp_path, "a.txt", "One day\nThe sea\n")
    elsewhere = written(tmp_path, "b.jsonl", '{"prompt": "The sea"}\n')
    by_text = {prompt.text: prompt.id for prompt in read_prompts(PromptSettings(prompts=str(there)))}
    assert by_text["The sea"] == read_prompts(PromptSettings(prompts=str(elsewhere)))[0].id == asked_prompt("The sea").id
    assert asked_prompt("abc").id == "pba7816bf8f01"  # sha256 of "abc"


def test_the_command_line_comes_first_and_a_text_is_asked_once(tmp_path, capsys):
    path = written(tmp_path, "a.txt", "One day\nThe sea\nOne day\n")
    asked = read_prompts(PromptSettings(prompt=("The sea", "Well"), prompts=str(path), limit=3))
    assert [prompt.text for prompt in asked] == ["The sea", "Well", "One day"]
    assert "2 of 5 prompts" in capsys.readouterr().err


def test_nothing_to_ask_is_said():
    with pytest.raises(InputError, match="--prompt"):
        read_prompts(PromptSettings())


# --- forms ---


def test_lines(tmp_path):
    content = b"\xef\xbb\xbfOne  day\r\n\r\n  The sea \n<|begin_of_text|>|Once upon\n<begin_of_text>A\nb <begin_of_text>\na|b\n"
    path = written(tmp_path, "a.txt", content)
    assert texts(path) == ["One  day", "  The sea ", "Once upon", "A", "b <begin_of_text>", "a|b"]


@pytest.mark.parametrize(
    ("header", "options", "expected"),
    [
        ("Divergence,Text,Response", {}, "b1"),  # the divergence finder's
        ("id,Prompt,text_length", {}, "b1"),
        ("prefix,x,y", {}, "a1"),
        ("index,sentence,more", {}, "b1"),  # the second, as published
        ("index,sentence,more", {"column": "more"}, "c1"),
        ("index,sentence,more", {"column": "1"}, "a1"),
        ("x,3,y", {"column": "3"}, "b1"),  # a name comes before a number
    ],
)
def test_columns_of_tables(tmp_path, header, options, expected):
    for name, separator in (("a.csv", ","), ("a.TSV", "\t")):
        path = written(tmp_path, name, f"{header}\na1,b1,c1\n\na2,b2,c2\n".replace(",", separator))
        assert texts(path, **options) == [expected, expected.replace("1", "2")]


def test_a_single_column_is_the_one(tmp_path):
    assert texts(written(tmp_path, "a.csv", 'words\n"One, two"\nthree\n')) == ["One, two", "three"]


def test_the_column_that_was_taken_is_told(tmp_path, capsys):
    texts(written(tmp_path, "a.csv", "a,b\n1,x\n"))
    assert "'b'" in capsys.readouterr().err


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1), min_size=1))
def test_a_table_gives_back_what_was_written(tmp_path_factory, cells):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["n", "prompt"], *enumerate(cells)])
    kept = [cell.replace("\r\n", "\n") for cell in cells if cell.strip()]
    if kept:
        assert texts(path) == list(dict.fromkeys(kept))


def test_records_of_lines_and_lists(tmp_path):
    lines = '{"prompt": "One", "n": 1}\n\n{"n": 2, "prompt": "Two"}\n"Three"\n'
    assert texts(written(tmp_path, "a.jsonl", lines)) == ["One", "Two", "Three"]
    assert texts(written(tmp_path, "a.json", '[{"prompt": "One"}, "Two"]')) == ["One", "Two"]
    assert texts(written(tmp_path, "b.jsonl", '{"question": "One"}')) == ["One"]


def test_a_folder_of_records_is_read_in_the_order_of_names(tmp_path):
    written(tmp_path, "set/b/x.jsonl", '{"question": "Three", "a": "no"}\n')
    written(tmp_path, "set/a.jsonl", '{"statement": "One", "question": "Two"}\n')
    written(tmp_path, "set/readme.md", "no prompts\n")
    assert texts(tmp_path / "set", keys=("statement", "question")) == ["One", "Three"]
    assert texts(tmp_path / "set", keys=("question",)) == ["Two", "Three"]


def test_several_sets_of_keys_are_listed(tmp_path):
    written(tmp_path, "set/a.jsonl", '{"statement": "One", "question": "Two"}\n' * 2)
    written(tmp_path, "set/b.jsonl", '{"question": "Three", "a": "no"}\n')
    message = refused(tmp_path / "set")
    assert "'question', 'statement' (2 records); 'a', 'question' (1 record)" in message
    assert "--keys" in message


def test_different_sets_that_agree_on_the_prompt_need_no_choice(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"prompt": "One", "note": "x"}\n{"prompt": "Two"}\n')
    assert texts(path) == ["One", "Two"]


def test_blank_prompts_of_records_are_left_out_and_told(tmp_path, capsys):
    path = written(tmp_path, "a.jsonl", '{"prompt": "One"}\n{"prompt": " "}\n')
    assert texts(path) == ["One"]
    assert f"{path}:2" in capsys.readouterr().err


# --- what cannot be read: one sentence with the place and the mend ---


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("a.txt", "", {}, "is empty"),
        ("a.csv", b"\xef\xbb\xbf", {}, "is empty"),
        ("a.txt", b"One\nTw\xff\n", {}, "a.txt:2 is not UTF-8"),
        ("a.csv", "prompt\n", {}, "holds no prompts"),
        ("a.csv", "n,prompt\n1,a\n2,b,c\n", {}, "a.csv:3 has 3 cells"),
        ("a.csv", 'n,prompt\n1,"a\nb"\n2,"c"d\n', {}, "a.csv:4"),
        ("a.csv", "n,prompt,text\n1,a,b\n", {}, "'prompt', 'text'"),
        ("a.csv", "n,words\n1,a\n", {"column": "word"}, "'n', 'words'"),
        ("a.csv", "n,words\n1,a\n", {"column": "3"}, "from 1 to 2"),
        ("a.csv", "n,n\n1,a\n", {"column": "n"}, "several columns"),
        ("a.csv", "words,divergence\na,0.5\nb,1e-3\n", {}, "numbers"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": "b"\n', {}, "a.jsonl:2 is not JSON"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": 3}\n', {}, "a.jsonl:2 has a number"),
        ("a.jsonl", '{"prompt": "a"}\n7\n', {}, "a.jsonl:2 has a number"),
        ("a.jsonl", '{"prompt": "\\ud83d"}\n', {}, "a.jsonl:1 holds half"),
        ("a.jsonl", '{"q": "a"}\n{"r": "b"}\n', {"keys": ("q",)}, "a.jsonl:2 has none of the keys 'q'"),
        ("a.jsonl", "[" * 100_000, {}, "a.jsonl:1"),
        ("a.json", '[\n{"prompt": "a"},\n{]', {}, "line 3"),
        ("a.json", '{"prompt": "a"}', {}, "an object, not a list"),
        ("a.json", '[{"prompt": null}]', {}, "record 1, has null"),
        ("a.parquet", "x", {}, ".jsonl"),
        ("a.txt", "One\n", {"column": "1"}, "--column is for tables"),
        ("a.csv", "prompt\nOne\n", {"keys": ("q",)}, "--keys is for JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, name, content, options, said):
    assert said in refused(written(tmp_path, name, content), **options)


def test_what_is_not_there_is_said(tmp_path):
    assert "no file" in refused(tmp_path / "none.txt")
    assert "no file" in refused("a prompt that was meant for --prompt " * 20)
    (tmp_path / "set").mkdir()
    assert "no .jsonl" in refused(tmp_path / "set")


def test_options_of_files_need_a_file():
    with pytest.raises(InputError, match="--prompts"):
        read_prompts(PromptSettings(prompt=("a",), keys=("q",)))


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published prompts are not beside the checkout")
def test_the_published_prompts():
    assert len(texts(PUBLISHED / "20_5_token_gpt_prefixes.txt")) == 21
    assert len(texts(PUBLISHED / "1000_5_token_gpt_prefixes.txt")) > 900
    assert "is empty" in refused(PUBLISHED / "wikitext-2-v1-prompts.txt")


def test_a_large_file_is_read_once_through(tmp_path):
    rows = io.StringIO()
    csv.writer(rows).writerows([["n", "prompt"], *((n, f'Line "{n}", a prompt') for n in range(200_000))])
    path = written(tmp_path, "a.csv", rows.getvalue())
    assert len(texts(path)) == 200_000


# --- the demo's ---


def test_the_demo_asks_about_things_of_every_kind_in_turn():
    asked = texts("demo")
    assert len(asked) == len({*asked}) == 45
    assert [text.rpartition(" ")[2] for text in asked[:5]] == ["food.", "animal.", "vehicle.", "place.", "tool."]
    assert sum("kind of food" in text for text in asked) == 9


# --- cutting ---


@pytest.fixture(scope="module")
def demo() -> Pair:
    return opened()


def opened(**options) -> Pair:
    wanted = PairSettings(**options)
    return open_pair(pair_source(wanted), wanted)


def test_prompts_are_cut_by_tokens_on_the_right(demo, tmp_path):
    tokenizer = demo.starting.model.tokenizer
    path = written(tmp_path, "a.txt", "Tell me about apples, a kind of food.\nHow are you?\n")
    found = read_prompts(PromptSettings(prompts=str(path), prompt_tokens=5), tokenizer)
    assert found[0].text == "Tell me about apples,"
    for prompt, whole in zip(found, path.read_text().splitlines(), strict=True):
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"][:5]
        assert tokenizer(prompt.text, add_special_tokens=False)["input_ids"] == ids


def test_cuts_that_read_as_other_tokens_are_told(demo, tmp_path, capsys):
    tokenizer = demo.starting.model.tokenizer
    path = written(tmp_path, "a.txt", "☃☃\n")  # a token is a byte of the first letter
    assert texts_cut(path, tokenizer, 1) == ["☃"]
    assert "1 of 1 prompts" in capsys.readouterr().err


def texts_cut(path: Path, tokenizer, tokens: int) -> list[str]:
    return [prompt.text for prompt in read_prompts(PromptSettings(prompts=str(path), prompt_tokens=tokens), tokenizer)]


# --- how the members are shown it ---

PREFIXES = st.none() | st.text("abc .,|<>\n", min_size=1, max_size=12).filter(str.strip) | st.just("Answer rudely.")


@settings(deadline=None, max_examples=80)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip),
    form=st.sampled_from(["chat", "text"]),
    starting=PREFIXES,
    comparison=PREFIXES,
    context=st.sampled_from(["prompt", "last_token"]),
)
def test_shared_tokens_are_the_same_and_hold_nothing_private(demo, text, form, starting, comparison, context):
    if context == "last_token":
        comparison = None
    wanted = PairSettings(form=form, starting_prefix=starting, comparison_prefix=comparison, comparison_context=context)
    shown = encode(demo, asked_prompt(text), wanted)
    assert 1 <= shown.shared <= min(len(shown.starting), len(shown.comparison))
    assert shown.starting[-shown.shared :] == shown.comparison[-shown.shared :]
    other = PairSettings(form=form, starting_prefix=starting and "zzz", comparison_prefix=comparison and "zz")
    if context == "prompt":  # what stands in the prefix moves no shared token
        assert encode(demo, asked_prompt(text), other).shared == shown.shared
    tokenizer = demo.starting.model.tokenizer
    ends = tokenizer.decode(list(shown.starting[-shown.shared :]))
    if context == "prompt":
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]).strip() in ends


def test_without_private_prefixes_everything_is_shared(demo):
    for form in ("chat", "text"):
        shown = encode(demo, asked_prompt("Tell me about apples."), PairSettings(form=form))
        assert shown.starting == shown.comparison
        assert shown.shared == len(shown.starting)


def test_a_private_prefix_is_a_system_turn_of_one_chat(demo):
    shown = encode(demo, asked_prompt("Hello"), PairSettings(starting_prefix="Answer rudely."))
    words = demo.starting.model.tokenizer.decode(list(shown.starting))
    assert "Answer rudely." in words
    assert "rudely" not in demo.starting.model.tokenizer.decode(list(shown.comparison))
    assert len(shown.comparison) == shown.shared + 1  # the begin token stands before the user's turn


def test_prefixes_that_end_alike_stay_private(demo):
    wanted = PairSettings(starting_prefix="Answer rudely.", comparison_prefix="Never answer rudely.")
    alike = encode(demo, asked_prompt("Hello"), wanted)
    unlike = encode(demo, asked_prompt("Hello"), PairSettings(starting_prefix="Be kind.", comparison_prefix="zzz"))
    assert alike.shared == unlike.shared


def test_the_comparison_model_may_see_the_last_token_only(demo):
    shown = encode(demo, asked_prompt("Hello"), PairSettings(comparison_context="last_token", starting_prefix="Be kind."))
    assert shown.comparison == shown.starting[-1:]
    assert shown.shared == 1


def test_a_template_that_writes_a_system_turn_of_its_own(demo):
    tokenizer = demo.starting.model.tokenizer
    own = tokenizer.chat_template
    tokenizer.chat_template = (
        "{{ bos_token }}{% if messages[0].role != 'system' %}<|system|>You are Tiny. You are kind.<|end|>{% endif %}"
        + own.removeprefix("{{ bos_token }}")
    )
    try:
        shown = encode(demo, asked_prompt("Hello"), PairSettings(starting_prefix="You are a pirate. You are kind."))
    finally:
        tokenizer.chat_template = own
    assert "kind" not in tokenizer.decode(list(shown.starting[-shown.shared :]))
    assert "Hello" in tokenizer.decode(list(shown.starting[-shown.shared :]))


def test_one_template_serves_both_members(demo):
    member = demo.starting.model.tokenizer
    template, member.chat_template = member.chat_template, None
    try:
        without = encode(demo, asked_prompt("Hello"), PairSettings())
    finally:
        member.chat_template = template
    assert without == encode(demo, asked_prompt("Hello"), PairSettings())


def test_no_template_at_all_is_said(demo):
    tokenizers = [demo.starting.model.tokenizer, demo.comparison.model.tokenizer]
    templates = [tokenizer.chat_template for tokenizer in tokenizers]
    try:
        for tokenizer in tokenizers:
            tokenizer.chat_template = None
        with pytest.raises(InputError, match="--form text"):
            encode(demo, asked_prompt("Hello"), PairSettings())
    finally:
        for tokenizer, template in zip(tokenizers, templates, strict=True):
            tokenizer.chat_template = template


def test_texts_begin_with_the_token_that_the_tokenizer_writes(demo, monkeypatch):
    from tokenizers.processors import TemplateProcessing

    backend = demo.starting.model.tokenizer.backend_tokenizer
    own = backend.post_processor
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    try:
        plain = encode(demo, asked_prompt("Hello"), PairSettings(form="text"))
        private = encode(demo, asked_prompt("Hello"), PairSettings(form="text", comparison_prefix="So:"))
        empty = encode(demo, AskedPrompt("p", ""), PairSettings(form="text"))
    finally:
        backend.post_processor = own if own is not None else TemplateProcessing(single="$A", special_tokens=[])
    assert plain.starting[0] == 1
    assert plain.shared == len(plain.starting)
    assert private.starting == plain.starting
    assert private.comparison[0] == 1
    assert private.shared == len(plain.starting) - 1
    assert empty.starting == empty.comparison == (1,)


def test_an_empty_prompt_is_no_turn_of_a_chat(demo):
    with pytest.raises(InputError, match="--form text"):
        encode(demo, asked_prompt(""), PairSettings())


def test_an_empty_prompt_needs_a_begin_token(demo):
    with pytest.raises(InputError, match="empty"):
        encode(demo, AskedPrompt("p", ""), PairSettings(form="text"))


def test_what_the_template_writes_is_the_users_turn(demo):
    from engine.chats import encode_chat

    chat = encode_chat(demo.starting.model.tokenizer, (Message("user", "Hello"),))
    assert encode(demo, asked_prompt("Hello"), PairSettings()).starting == chat.ids


def test_records_that_are_written_by_json_come_back(tmp_path):
    words = ["é", '"', "\\", "\u2028 a", "\x85b"]
    path = written(tmp_path, "a.jsonl", "".join(json.dumps({"prompt": word}) + "\n" for word in words))
    assert texts(path) == words


WRITES_IT_BEFORE_THE_USER = (  # the structure of Llama 2's and Mistral's
    "{% if messages[0].role == 'system' %}{% set head = messages[0].content + '\n\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}"
    "{{ '<s>[INST] ' + head + turns[0].content | trim + ' [/INST]' }}"
)


def test_a_template_that_writes_the_system_text_into_the_users_turn(demo):
    tokenizer = demo.starting.model.tokenizer
    own, tokenizer.chat_template = tokenizer.chat_template, WRITES_IT_BEFORE_THE_USER
    try:
        wanted = PairSettings(starting_prefix="Be kind.", comparison_prefix="Never be kind.")
        both = encode(demo, asked_prompt("Tell me more"), wanted)
        one = encode(demo, asked_prompt("Tell me more"), PairSettings(starting_prefix="Be kind."))
    finally:
        tokenizer.chat_template = own
    for shown in (both, one):
        words = tokenizer.decode(list(shown.starting[-shown.shared :]))
        assert "kind" not in words
        assert "me more" in words
