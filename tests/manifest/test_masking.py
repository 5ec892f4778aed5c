"""Secrets in command lines: masked by their form, and all else stays as it was typed."""

import pytest

from vecsetx.manifest.masking import MASK, masked, masked_words


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("tcp://me:secret@node:8786", "tcp://***@node:8786"),
        ("https://host/x?token=abc&size=3", "https://host/x?token=***&size=3"),
        ("--api-key=abc", "--api-key=***"),
        ("HF_TOKEN=abc", "HF_TOKEN=***"),
        ("my.password=abc", "my.password=***"),
        ("--token=a b;c,d&e\nf", "--token=***"),
        ("tls://me:p@ss,word@node:1", "tls://***@node:1"),
        ("https://host/x?X-Amz-Signature=abc&sig=d", "https://host/x?X-Amz-Signature=***&sig=***"),
        *((f"{name}=abc", f"{name}=***") for name in ("pwd", "PASS", "--auth", "wandb.key")),
        ("hf_abcdefghijklmnop", "***"),
        ("runs/ghp_abcdefghijklmnop/x", "runs/***/x"),
    ],
)
def test_secrets_are_masked(typed: str, shown: str) -> None:
    assert masked(typed) == shown


@pytest.mark.parametrize(
    "typed",
    [
        *("tcp://node:8786", "owner/name", "training.steps=300", "model.tokens_per=3", "a@b"),
        *("training.passes=2", "monkey=1", "design=2", "tcp://a:1,tcp://b:2", "s3://a/b@c"),
        *("labels/patient token.nii.gz", "partial.ramp=4000", "sk-1", "--seed", "LV=120:180"),
    ],
)
def test_all_else_stays(typed: str) -> None:
    assert masked(typed) == typed


def test_the_word_behind_an_option_for_a_secret_is_masked() -> None:
    words = ["train", "data", "--wandb-api-key", "abc", "--out", "run"]
    assert masked_words(words) == ["train", "data", "--wandb-api-key", MASK, "--out", "run"]
    assert masked_words(["--token"]) == ["--token"]
    assert masked_words([]) == []
