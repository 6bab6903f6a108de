"""DV-BASI, supervised and not, and its control: the loop, the product, the budget, the choice."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from taskmark.conformance import miniature
from taskmark.errors import TaskmarkError
from taskmark.methods.atlas import Atlas
from taskmark.methods.coefficient_learning import Training, learn
from taskmark.methods.coefficients import groups
from taskmark.methods.dv_basi import (
    DirectScaling,
    DirectScalingUnsupervised,
    DvBasi,
    DvBasiStart,
    DvBasiUnsupervised,
)
from taskmark.methods.task_loss import TaskLoss

METHODS = (DvBasi, DvBasiUnsupervised, DirectScaling, DirectScalingUnsupervised)
LOOPS = (DvBasi, DvBasiUnsupervised)
FAST = {"start_learning_rate": 0.05, "learning_rate": 0.05, "batch_size": 24}


def set_up(method, budget=1200, **fields):
    """A method with its Given and loss, as merge() puts them together."""
    given = miniature(method)
    given._gradient_budget = budget
    return (
        method(**(FAST | fields)),
        given,
        TaskLoss(given, labelled=method.track == "labelled"),
    )


@pytest.mark.parametrize("method", LOOPS)
def test_each_iteration_follows_the_difference_vector_of_the_one_before(method):
    competitor, given, loss = set_up(method)
    first = competitor.start(given, loss).vector
    results = list(competitor.iterates(given, loss, first))
    assert len(results) == 4
    theta_pre, theta = given.pretrained.double(), given.pretrained.double() + first.double()
    for result in results:
        delta = theta - theta_pre
        scale = torch.cat(
            [result.coefficients[0, i].expand(part.size) for i, part in enumerate(given.space)]
        )
        theta = theta + scale.double() * delta
        assert torch.allclose(theta, theta_pre + result.vector.double(), atol=1e-5)


@pytest.mark.parametrize("method", LOOPS)
def test_the_result_is_the_product_of_the_scales_times_the_first_merged_vector(method):
    competitor, given, loss = set_up(method)
    first = competitor.start(given, loss).vector
    results = list(competitor.iterates(given, loss, first))
    product = torch.ones(len(given.space))
    for result in results:
        product = product * (1 + result.coefficients[0])
    for i, part in enumerate(given.space):
        expected = product[i] * first[part.slice]
        assert torch.allclose(results[-1].vector[part.slice], expected, atol=1e-5)
    assert float((product - product.mean()).abs().max()) > 0.01  # the scales do differ


@pytest.mark.parametrize("method", METHODS)
def test_the_result_is_a_scaling_of_the_start_tensor_by_tensor(method):
    competitor, given, loss = set_up(method)
    first = competitor.start(given, loss).vector
    merged = method(**FAST).merge(miniature(method))
    for part in given.space:
        a, b = first[part.slice].double(), merged[part.slice].double()
        assert torch.allclose((a @ b) / (a @ a) * a, b, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_kept_is_best_on_the_images_held_out(method):
    competitor, given, loss = set_up(method)
    first = competitor.start(given, loss)
    every = [first, *competitor.iterates(given, loss, first.vector)]
    merged = method(**FAST).merge(miniature(method))
    losses = [loss.held_out(result.vector) for result in every]
    assert loss.held_out(merged) == pytest.approx(min(losses), rel=1e-6)


@pytest.mark.parametrize("method", LOOPS)
def test_a_start_that_nothing_improves_on_is_kept(method):
    fields = {"learning_rate": 1e-9, "initial_scale": 50.0}
    competitor, given, loss = set_up(method, **fields)
    first = competitor.start(given, loss).vector
    if method is DvBasi:
        merged = method(**(FAST | fields)).merge(miniature(method))
        assert torch.equal(merged, first)
    else:  # larger weights are surer of themselves: the entropy falls, and this is its weakness
        assert loss.held_out(51 * first) < loss.held_out(first)


@pytest.mark.parametrize(
    ("competitor", "control"),
    [(DvBasi, DirectScaling), (DvBasiUnsupervised, DirectScalingUnsupervised)],
)
def test_the_control_has_the_same_start_and_the_same_first_steps(competitor, control):
    one, given_one, loss_one = set_up(competitor)
    two, given_two, loss_two = set_up(control)
    first = one.start(given_one, loss_one)
    assert torch.equal(first.vector, two.start(given_two, loss_two).vector)
    assert given_one.gradient_images == given_two.gradient_images == 600

    # One iteration of the competitor and the control with the budget of one: the same numbers.
    single = one.model_copy(update={"iterations": 1})
    (a,) = single.iterates(given_one, loss_one, first.vector)
    (b,) = two.iterates(given_two, loss_two, first.vector)
    assert torch.equal(a.vector, b.vector)


@pytest.mark.parametrize("method", METHODS)
def test_the_control_learns_one_scale_and_waits_as_long_as_all_iterations_together(method):
    fields, loop = method().hyperparameters(), DvBasi().hyperparameters()
    for name in ("epochs", "patience"):
        assert fields["iterations"] * fields[name] == loop["iterations"] * loop[name]
    equal = set(loop) - {"iterations", "epochs", "patience"}
    assert {name: fields[name] for name in equal} == {name: loop[name] for name in equal}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [0, 5, 100, 1199])
def test_the_budget_is_never_exceeded(method, budget):
    given = miniature(method)
    given._gradient_budget = budget
    merged = method(**FAST).merge(given)
    assert given.gradient_images <= budget
    assert bool(torch.isfinite(merged).all())
    if budget < 3:
        assert not merged.any()


@pytest.mark.parametrize("method", METHODS)
def test_the_start_takes_its_share_and_the_iterations_share_the_rest(method):
    competitor, given, loss = set_up(method, budget=1200, start_share=0.2, patience=1000)
    first = competitor.start(given, loss).vector
    assert given.gradient_images == 240
    spent = []
    inner = given.features
    given.features = lambda vector, inputs, **at: (
        spent.append(given.gradient_images) or inner(vector, inputs, **at)
    )
    list(competitor.iterates(given, loss, first))
    assert given.gradient_images == 1200 // 24 * 24
    # Between iterations the held-out images are read twice without a gradient between.
    steps = set(spent)
    assert {240 + i * 960 // competitor.iterations for i in range(competitor.iterations)} <= steps


class InTheTangentSpace(DvBasi):
    name = "dv_basi_in_the_tangent_space"
    recipe = "tangent"


def test_each_iteration_can_linearise_anew_where_it_starts():
    competitor, given, loss = set_up(InTheTangentSpace, linearise="each_iteration")
    first = competitor.start(given, loss)
    results = list(competitor.iterates(given, loss, first.vector, anew=True))
    starts = [first.vector, *(result.vector for result in results)]
    assert first.linearised_at is None
    for start, result in zip(starts, results, strict=False):
        assert torch.equal(result.linearised_at, start)
        # The loss that it was chosen by is that of the model linearised there.
        total = 0.0
        for task, index in loss._held_out.items():
            inputs, labels = given.images(task)[index], given.labels(task)[index]
            features = given.features(result.vector, inputs, linearised_at=start)
            total += float(cross_entropy(given.heads[task].logits(features), labels))
        assert total == pytest.approx(result.held_out_loss, rel=1e-5)


def test_the_best_iteration_says_where_it_was_linearised():
    fields = {
        **FAST,
        "start_epochs": 1,
        "start_learning_rate": 0.005,
    }  # so that there is something left to refine
    anew = InTheTangentSpace(**fields, linearise="each_iteration")
    edit = anew.edit(miniature(InTheTangentSpace))
    usual = InTheTangentSpace(**fields).edit(miniature(InTheTangentSpace))
    assert edit.linearised_at is not None
    assert usual.linearised_at is None
    assert not torch.allclose(edit.vector, usual.vector)


def test_where_nothing_is_linearised_it_cannot_be_linearised_anew():
    with pytest.raises(TaskmarkError, match="nothing is linearised"):
        DvBasi(**FAST, linearise="each_iteration").edit(miniature(DvBasi))


def test_the_loop_is_more_than_one_descent_with_the_same_budget():
    loop = DvBasi(**FAST).merge(miniature(DvBasi))
    direct = DirectScaling(**FAST).merge(miniature(DirectScaling))
    assert not torch.allclose(loop, direct, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_zero_task_vectors_stay_zero(method):
    assert not method().merge(miniature(method, zero=True)).any()


@pytest.mark.parametrize("method", [DvBasi, DirectScaling])
def test_labels_improve_on_the_start(method):
    competitor, given, loss = set_up(method)
    start = competitor.start(given, loss).held_out_loss
    refined = loss.held_out(method(**FAST).merge(miniature(method)))
    assert refined < start < loss.held_out(torch.zeros_like(given.pretrained))


@pytest.mark.parametrize("method", [DvBasiUnsupervised, DirectScalingUnsupervised])
def test_without_labels_the_entropy_falls_and_no_label_is_seen(method):
    competitor, given, loss = set_up(method)
    start = competitor.start(given, loss).held_out_loss
    fresh = miniature(method)
    refined = loss.held_out(method(**FAST).merge(fresh))
    assert refined < start < loss.held_out(torch.zeros_like(given.pretrained))
    assert not [touched for touched in fresh.touched if touched.endswith("labels")]
    assert {touched.split("/")[1] for touched in fresh.touched} == {"validation"}


def test_the_start_is_atlas_within_its_share():
    competitor, given, loss = set_up(DvBasi, budget=1200)
    start = competitor.start(given, loss).vector
    alone = miniature(Atlas)
    alone._gradient_budget = 600
    atlas = Atlas(learning_rate=0.05, batch_size=24)
    assert torch.equal(start, atlas.merge(alone))


def test_lambda_starts_at_the_initial_scale():
    competitor, given, loss = set_up(DvBasi, initial_scale=0.25, learning_rate=1e-12)
    (result, *_) = competitor.iterates(given, loss, 0.1 * given.task_vectors[0])
    assert torch.allclose(result.coefficients, torch.full((1, len(given.space)), 0.25))


def test_one_scale_for_the_whole_vector_is_an_option():
    competitor, given, loss = set_up(DvBasi, granularity="scalar")
    first = competitor.start(given, loss).vector
    for result in competitor.iterates(given, loss, first):
        assert result.coefficients.shape == (1, 1)


@pytest.mark.parametrize("method", [DvBasi, DvBasiUnsupervised])
def test_in_the_tangent_space_the_same_code_learns(method):
    class Tangent(method):
        name = "tangent_sibling"
        recipe = "tangent"

    competitor, given, loss = set_up(Tangent)
    vectors, inputs = given.task_vectors, given.images("apples")
    with torch.no_grad():  # the features are affine in the vector there
        zero, one, two = (given.features(s * vectors[0], inputs) for s in (0, 1, 2))
    assert torch.allclose(two - one, one - zero, atol=1e-4)
    start = competitor.start(given, loss)
    refined = loss.held_out(Tangent(**FAST).merge(miniature(Tangent)))
    assert refined < start.held_out_loss < loss.held_out(torch.zeros_like(given.pretrained))


def test_a_single_iteration_is_learning_the_scale_from_the_first_vector():
    control, given, loss = set_up(DirectScaling, weight_decay=0.0)
    first = control.start(given, loss).vector
    (result,) = control.iterates(given, loss, first)

    _, twin, twin_loss = set_up(DirectScaling)
    control.start(twin, twin_loss)  # so that both go on with the same batches
    slices = groups(twin.space, "tensor")
    expected = learn(
        twin_loss,
        torch.full((1, len(slices)), 1.1),  # the scale itself, on a base of nothing
        first[None],
        slices,
        base=torch.zeros_like(first),
        training=Training(
            learning_rate=0.05,
            weight_decay=0.0,
            batch_size=24,
            epochs=240,
            patience=20,
            budget=600,
        ),
    )
    assert torch.allclose(result.vector, expected.vector, atol=1e-4)
    assert torch.allclose(1 + result.coefficients, expected.coefficients, atol=1e-4)


@pytest.mark.parametrize(
    "fields", [{"iterations": 0}, {"start_share": 1.0}, {"learning_rate": 0}, {"granularity": "x"}]
)
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        DvBasi(**fields)


def test_the_control_cannot_iterate():
    with pytest.raises(ValidationError):
        DirectScaling(iterations=2)


def test_the_start_has_a_row_of_its_own_which_is_the_very_vector():
    for method in (DvBasi, DirectScaling):
        competitor, given, loss = set_up(method)
        start, granted, _ = set_up(DvBasiStart)
        assert torch.equal(start.merge(granted), competitor.start(given, loss).vector)
