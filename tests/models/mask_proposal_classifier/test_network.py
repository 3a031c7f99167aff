from __future__ import annotations

import pytest
import torch

from recseg_d2.errors import OptionError
from recseg_d2.models.mask_proposal_classifier.network import ProposalClassifier
from recseg_d2.models.mask_proposal_classifier.options import ClassifierOptions


def make(in_width=3, **options):
    torch.manual_seed(0)
    settings = {"region_side": 6, "pooling": 2, "fc_width": 8}
    return ProposalClassifier(in_width, 4, ClassifierOptions(**{**settings, **options})).eval()


@pytest.mark.parametrize("box_pathway", [False, True])
def test_one_score_a_class_and_one_for_the_background(box_pathway):
    model = make(box_pathway=box_pathway)
    assert model(torch.randn(5, 3, 6, 6), torch.rand(5, 6, 6)).shape == (5, 5)
    assert model(torch.randn(0, 3, 6, 6), torch.rand(0, 6, 6)).shape == (0, 5)


def test_features_outside_of_the_mask_play_no_part():
    model = make()
    features, masks = torch.randn(2, 3, 6, 6), torch.zeros(2, 6, 6)
    masks[:, 1:3, 2:5] = 1
    changed = features + 10 * (1 - masks[:, None])
    torch.testing.assert_close(model(features, masks), model(changed, masks))
    assert not torch.allclose(model(features, masks), model(features + 1, masks))


def test_the_box_pathway_sees_them():
    model = make(box_pathway=True)
    features, masks = torch.randn(2, 3, 6, 6), torch.zeros(2, 6, 6)
    assert not torch.allclose(model(features, masks), model(features + 1, masks))


def test_against_the_layers_by_hand():
    """Masked, the maximum of each two by two cells, two layers with ReLU, a linear one."""
    model = make(in_width=1, region_side=2)
    features = torch.tensor([[[[1.0, 5.0], [-3.0, 2.0]]]])
    masks = torch.tensor([[[1.0, 0.25], [1.0, 1.0]]])  # masked: 1, 1.25, -3, 2
    first, second = model.mask_pathway[1], model.mask_pathway[4]
    hidden = (2.0 * first.weight[:, 0] + first.bias).relu()
    hidden = (second.weight @ hidden + second.bias).relu()
    expected = model.score.weight @ hidden + model.score.bias
    torch.testing.assert_close(model(features, masks)[0], expected)


def test_untrained_scores_are_nearly_equal():
    logits = make(fc_width=64)(torch.randn(20, 3, 6, 6), torch.ones(20, 6, 6))
    assert logits.abs().max() < 0.2


def test_dropout_only_in_training():
    model = make(fc_width=64)
    features, masks = torch.randn(4, 3, 6, 6), torch.ones(4, 6, 6)
    torch.testing.assert_close(model(features, masks), model(features, masks))
    model.train()
    assert not torch.equal(model(features, masks), model(features, masks))


def test_pooling_divides_the_side():
    with pytest.raises(OptionError, match="pooling is 4; expected a divisor of the 6 cells"):
        make(pooling=4)


def test_fully_connected_layers_of_vgg_are_taken_where_they_fit():
    model = make(box_pathway=True)
    names = ("classifier.0", "classifier.3")
    given = {f"{names[0]}.weight": torch.randn(8, 27), f"{names[0]}.bias": torch.randn(8)}
    given |= {f"{names[1]}.weight": torch.randn(9, 8), f"{names[1]}.bias": torch.randn(9)}
    before = model.mask_pathway[4].weight.detach().clone()
    model.load_state_dict(given, strict=False)
    for pathway in (model.mask_pathway, model.box_pathway):
        torch.testing.assert_close(pathway[1].weight.detach(), given[f"{names[0]}.weight"])
        torch.testing.assert_close(pathway[1].bias.detach(), given[f"{names[0]}.bias"])
    torch.testing.assert_close(model.mask_pathway[4].weight.detach(), before)  # 9 do not fit


def test_own_values_go_before_those_of_vgg():
    model, trained = make(), make(fc_width=8)
    torch.nn.init.ones_(trained.mask_pathway[1].weight)
    model.load_state_dict(
        {**trained.state_dict(), "classifier.0.weight": torch.zeros(8, 27)}, strict=False
    )
    assert (model.mask_pathway[1].weight == 1).all()
