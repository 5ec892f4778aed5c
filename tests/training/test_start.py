"""Training that starts from another model: what both know is taken over, row by row."""

from dataclasses import replace

import pytest
import torch

from vecsetx.errors import InputError
from vecsetx.model.vecset import ModelSpec
from vecsetx.training.start import start_from

SPEC = ModelSpec(latents=32, width=16, heads=2, layers=1, latent_channels=4, frequencies=2)
OLD, NEW = ("LV", "RV", "LA", "Aorta"), ("Aorta", "PA", "LV", "LA", "Coronary")
BOTH = ("LV", "LA", "Aorta")
SPECS = {
    "distances": SPEC,
    "union": replace(SPEC, field="union"),
    "own latents": replace(SPEC, structure_latents=3),
}


@pytest.mark.parametrize("spec", list(SPECS.values()), ids=list(SPECS))
@torch.no_grad()
def test_structures_that_both_know_are_predicted_alike(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    other = spec.build(len(OLD)).double().eval()
    for weight in other.parameters():  # none at its initial 0
        weight.normal_(0, 0.3)
    torch.manual_seed(1)
    model = spec.build(len(NEW)).double().eval()
    started = start_from(model, NEW, other, OLD)
    assert started.known == ("Aorta", "LV", "LA")
    assert started.new == ("PA", "Coronary")
    points, queries = torch.randn(1, 60, 3).double() / 3, torch.randn(1, 40, 3).double() / 3
    pick = torch.randint(0, len(BOTH), (1, 60))
    anchors = torch.arange(32)[None]
    outputs = []
    for network, names in ((other, OLD), (model, NEW)):
        own = torch.tensor([names.index(name) for name in BOTH])
        if spec.structure_latents:  # those of other structures take part: hide them
            network.of_structures.tokens.view(len(names), 3, -1)[
                [k for k, name in enumerate(names) if name not in BOTH]
            ] = 0
            network.of_structures.places.zero_()
        latents = network.encode(points, own[pick], anchors)
        output = network.head_output(network.process(latents), latents.positions, queries)
        rows = own if spec.field == "distances" else torch.cat([torch.tensor([0]), 1 + own])
        outputs.append(output[..., rows])
    if spec.structure_latents:
        weights = [network.of_structures.tokens.view(-1, 3, 16) for network in (other, model)]
        for name in BOTH:
            torch.testing.assert_close(
                weights[0][OLD.index(name)], weights[1][NEW.index(name)], rtol=0, atol=0
            )
    else:
        torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_new_structures_keep_their_random_weights() -> None:
    torch.manual_seed(0)
    other, model = SPEC.build(len(OLD)), SPEC.build(len(NEW))
    other.head.project.bias.fill_(0.7)  # as no model begins
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    start_from(model, NEW, other, OLD)
    after = model.state_dict()
    for name in ("point_embedding.structure.weight", "head.project.weight", "head.project.bias"):
        for row in (NEW.index("PA"), NEW.index("Coronary")):
            torch.testing.assert_close(after[name][row], before[name][row], rtol=0, atol=0)
        assert not torch.equal(after[name][NEW.index("LV")], before[name][NEW.index("LV")])


def test_models_that_differ_are_refused_by_option() -> None:
    model = SPEC.build(2)
    for change in ({"width": 32}, {"layers": 2}, {"field": "union"}):
        other = replace(SPEC, **change).build(2)
        key, value = next(iter(change.items()))
        with pytest.raises(InputError, match=rf"model\.{key}={value}, not "):
            start_from(model, ("LV", "RV"), other, ("LV", "RV"))
    more = replace(SPEC, latents=64).build(2)  # any number of surface points
    assert start_from(model, ("LV", "RV"), more, ("LV", "RV")).new == ()
    with pytest.raises(InputError, match="it knows none of LV, RV"):
        start_from(model, ("LV", "RV"), SPEC.build(1), ("PA",))
