"""Distances on features: closed forms, other packages on the same inputs, and properties."""

import math

import numpy as np
import pytest
import torch

from gan_helpers.errors import CourseError
from gan_helpers.metrics import (
    Moments,
    Pairs,
    copying,
    frechet_distance,
    frechet_infinite,
    inception_score,
    kid,
    nearest,
    precision_recall,
)


def normal(n, d, seed=0, mean=0.0, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double() * scale + mean


def exactly(features, mean, root):
    """Features with exactly this mean (D,) and covariance root rootᵀ (D, D)."""
    x = features - features.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (len(x) - 1)), x.T, upper=False).T
    return white @ root.T + mean


# --- Fréchet ---


def test_frechet_in_one_dimension_is_the_closed_form():
    x = exactly(normal(500, 1), torch.tensor([1.0]).double(), torch.tensor([[3.0]]).double())
    y = exactly(normal(400, 1, 1), torch.tensor([-1.0]).double(), torch.tensor([[0.5]]).double())
    assert frechet_distance(x, y) == pytest.approx((1 - -1) ** 2 + (3 - 0.5) ** 2, rel=1e-12)


def test_frechet_of_commuting_covariances_is_the_closed_form_however_badly_conditioned():
    q, _ = torch.linalg.qr(normal(64, 64, 5))
    for exponent in (1, 4, 8):
        scales = [torch.logspace(0, -e, 64).double() for e in (exponent, exponent / 2)]  # condition up to 1e16
        x, y = (exactly(normal(300, 64, k), torch.zeros(64), q * s @ q.T) for k, s in enumerate(scales))
        exact = (scales[0] - scales[1]).square().sum().item()
        traces = sum(s.square().sum().item() for s in scales)
        assert abs(frechet_distance(x, y) - exact) < 1e-6 * traces, exponent


def test_the_distance_of_infinitely_many_is_right_and_its_interval_covers():
    """Gaussians of 64 dimensions whose distance is known; 256 images of each, where the plain one is 9 too large."""
    mine, theirs = torch.linspace(0.2, 2, 64).double(), torch.linspace(1.6, 0.16, 64).double()  # standard deviations
    exact = (mine - theirs).square().sum().item() + 64 * 0.3**2
    root = Moments(exactly(normal(300, 64), torch.full((64,), 0.3), torch.diag(theirs)))  # the reference, exactly
    covered, plain = {"both": 0, "fakes": 0}, []
    for seed in range(50):
        fake, real = normal(256, 64, 2 * seed) * mine, normal(256, 64, 2 * seed + 1) * theirs + 0.3
        plain.append(frechet_distance(fake, real))
        for name, reference in (("both", real), ("fakes", root)):
            found = frechet_infinite(fake, reference)
            covered[name] += abs(found.value - exact) < 1.96 * found.error
    assert np.mean(plain) > exact + 5
    assert min(covered.values()) >= 45
    with pytest.raises(CourseError, match="can be told from 256 or more, four times.*; here are 255"):
        frechet_infinite(fake[1:], real)


def test_moments_of_parts_are_those_of_the_whole():
    x = normal(90, 8, 1, mean=5)
    whole, parts = Moments(x), Moments()
    for part in x.split([50, 30, 10]):
        parts.add(Moments(part))
    assert parts.n == 90 and torch.allclose(parts.mean, whole.mean) and torch.allclose(parts.scatter, whole.scatter)


@pytest.mark.parametrize(("n", "m"), [(300, 200), (300, 20), (20, 30)], ids=["full rank", "one singular", "both"])
def test_frechet_is_a_distance_that_rotation_and_order_do_not_change(n, m):
    x, y = normal(n, 48, 1), normal(m, 48, 2, mean=0.3, scale=1.5)
    q, _ = torch.linalg.qr(normal(48, 48, 3))
    distance = frechet_distance(x, y)
    assert distance > 0
    assert frechet_distance(y, x) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(x @ q + 7, y @ q + 7) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(x.flip(0), y) == pytest.approx(distance, rel=1e-12)
    for same in (x, y):
        assert frechet_distance(same, same.clone()) < 1e-10


def test_frechet_of_singular_sets_agrees_with_the_matrix_square_root():
    """Fewer features than dimensions, by the eigenvalues of the product: slow, complex, and right to about 1e-6."""
    x, y = normal(25, 40, 1), normal(30, 40, 2, mean=0.2)
    cov_x, cov_y = x.T.cov(), y.T.cov()
    root = torch.linalg.eigvals(cov_x @ cov_y).real.clamp_min(0).sqrt().sum()
    slow = (x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * root
    assert frechet_distance(x, y) == pytest.approx(slow.item(), rel=1e-5)
    assert frechet_distance(Moments(x), Moments(y)) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_frechet_agrees_with_the_packages_that_the_field_uses():
    pytorch_fid = pytest.importorskip("pytorch_fid.fid_score")
    torch_fidelity = pytest.importorskip("torch_fidelity.metric_fid")

    x, y = normal(900, 96, 1) @ normal(96, 96, 9), normal(700, 96, 2, mean=0.1) @ normal(96, 96, 8)
    stats = [torch_fidelity.fid_features_to_statistics(f) for f in (x, y)]
    theirs = [
        torch_fidelity.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"],
        pytorch_fid.calculate_frechet_distance(*(s[k] for s in stats for k in ("mu", "sigma"))),
    ]
    traces = sum(np.trace(s["sigma"]) for s in stats)
    for other in theirs:
        assert abs(frechet_distance(x, y) - other) < 1e-6 * traces


def test_streamed_moments_are_those_of_all_and_keep_their_digits_far_from_zero():
    x = normal(1000, 16) + 1e6
    streamed = Moments()
    for part in x.split(77):
        streamed.add(part)
        _ = streamed.root  # of the sums so far: it must not be kept
    assert torch.allclose(streamed.mean, x.mean(0), rtol=1e-14)
    assert torch.allclose(streamed.covariance, x.T.cov(), rtol=1e-7, atol=1e-9)
    assert frechet_distance(streamed, x) < 1e-7
    assert torch.allclose(streamed.root @ streamed.root.T, streamed.covariance)


def test_numpy_and_single_precision_go_in_too():
    x, y = normal(200, 8, 1).float(), normal(200, 8, 2).float()
    assert frechet_distance(x.numpy(), y.numpy()) == pytest.approx(frechet_distance(x.double(), y.double()), rel=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (torch.zeros(5, 3), torch.zeros(5, 4), "3 and 4 wide: they are of different networks"),
        (torch.zeros(5), torch.zeros(5), r"must be \(N, D\)"),
        (torch.zeros(1, 3), torch.zeros(5, 3), "at least 2"),
        (torch.full((5, 3), torch.nan), torch.zeros(5, 3), "not finite"),
    ],
)
def test_bad_features_are_refused(x, y, words):
    for distance in (frechet_distance, lambda a, b: Pairs(a, b, k=1)):
        with pytest.raises(CourseError, match=words):
            distance(x, y)


# --- pairs ---


def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def test_kid_is_the_unbiased_mmd_and_torch_fidelitys_number():
    kid_features_to_metric = pytest.importorskip("torch_fidelity.metric_kid").kid_features_to_metric
    x, y = normal(150, 10, 1), normal(150, 10, 2, mean=0.2)
    off = 1 - torch.eye(150)
    by_hand = ((kernel(x, x) * off).sum() + (kernel(y, y) * off).sum()) / (150 * 149) - 2 * kernel(x, y).mean()
    theirs = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=150, verbose=False)
    ours = kid(Pairs(x, y)).value
    assert ours == pytest.approx(by_hand.item(), rel=1e-10)
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_all_pairs_are_the_same_in_blocks_and_at_once():
    x, y = normal(1026, 3, 1), normal(1030, 3, 2)
    pairs = Pairs(x, y)
    for features, sums, radius_of in ((x, pairs.fake_kernel, pairs.within(x)), (y, pairs.real_kernel, pairs.within(y))):
        whole = kernel(features, features)
        assert torch.allclose(sums, whole.sum(1) - whole.diagonal())
        squares = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist").square()
        assert torch.allclose(radius_of[1], squares.kthvalue(4).values, atol=1e-9)
    assert torch.allclose(pairs.cross_fake, kernel(x, y).sum(1)) and torch.allclose(
        pairs.cross_real, kernel(x, y).sum(0)
    )


def test_kid_has_no_bias_and_its_error_is_its_spread():
    """Over 200 pairs of small sets of one distribution the mean is 0, and the error tells the true scatter."""
    found = [kid(Pairs(normal(40, 6, 2 * k), normal(60, 6, 2 * k + 1))) for k in range(200)]
    values = np.array([f.value for f in found])
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(200)
    far = [kid(Pairs(normal(40, 6, 2 * k), normal(60, 6, 2 * k + 1, mean=0.5))) for k in range(200)]
    # the scatter of 200 values is itself known to 1 / sqrt(400), 5 %: five times that
    assert np.mean([f.error for f in far]) == pytest.approx(np.std([f.value for f in far]), rel=0.25)


def test_the_jackknife_is_the_one_of_leaving_images_out():
    x, y = normal(12, 4, 1), normal(9, 4, 2, mean=0.5)
    less_x = [kid(Pairs(torch.cat([x[:i], x[i + 1 :]]), y)).value for i in range(12)]
    less_y = [kid(Pairs(x, torch.cat([y[:i], y[i + 1 :]]))).value for i in range(9)]
    variance = 11 * np.var(less_x) + 8 * np.var(less_y)
    assert kid(Pairs(x, y)).error == pytest.approx(math.sqrt(variance), rel=1e-8)


def test_precision_and_recall_by_hand_and_by_torch_fidelity():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    fake = torch.tensor([[0.5], [0.6], [0.7], [50.0]])
    found = precision_recall(Pairs(fake, real, k=1))
    # Balls around the reals reach 1 to each side; around the first three fakes .1; the stray one at 50 reaches 49.3
    assert found == {"precision": 0.75, "recall": 5 / 6, "density": 6 / 4, "coverage": 2 / 6}
    x, y = normal(2100, 5, 1), normal(1025, 5, 2, mean=0.4)  # more than a block of rows, and one row more
    peer = pytest.importorskip("torch_fidelity.metric_prc", reason="needs torch-fidelity 0.4")
    theirs = peer.prc_features_to_metric(x, y, verbose=False)
    ours = precision_recall(Pairs(x, y))
    assert ours["precision"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours["recall"] == pytest.approx(theirs["recall"], abs=1e-6)


def test_all_shares_of_a_copied_set_are_perfect():
    x = normal(300, 8)
    found = precision_recall(Pairs(x.clone(), x))
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    missing = precision_recall(Pairs(torch.cat([x[:150] + 100, x[:150] + 100.01]), x))
    assert missing["precision"] == missing["recall"] == missing["coverage"] == 0


# --- classifier, copies ---


def test_inception_score_of_known_predictions():
    sure = torch.eye(10).repeat(20, 1) * 1000  # every class equally often, without doubt
    assert inception_score(sure).value == pytest.approx(10, rel=1e-6)
    assert inception_score(torch.zeros(200, 10)).value == pytest.approx(1)
    one = torch.zeros(200, 10)
    one[:, 3] = 1000  # without doubt, and always the same
    assert inception_score(one).value == pytest.approx(1)


def test_inception_score_is_torch_fidelitys():
    isc_features_to_metric = pytest.importorskip("torch_fidelity.metric_isc").isc_features_to_metric
    logits = normal(230, 7, scale=3)
    theirs = isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = inception_score(logits)
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert ours.error == pytest.approx(theirs["inception_score_std"], rel=1e-9)


def test_nearest_is_the_smallest_of_all_distances():
    x, y = normal(50, 6, 1) + 1000, normal(70, 6, 2) + 1000
    distances, rows = nearest(x, y)
    exact = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert torch.equal(rows, exact.indices) and torch.allclose(distances, exact.values, rtol=1e-6)


def test_only_copies_are_told_from_honest_samples():
    train, held_out, honest = normal(900, 8, 1), normal(100, 8, 2), normal(500, 8, 3)
    copies = train[:500] + normal(500, 8, 4, scale=0.01)
    assert frechet_distance(copies, train) < frechet_distance(honest, train)  # a copier has the better score
    found = copying(copies, train, held_out)
    assert found.share == 1 and found.chance == 0.9 and found.caught and "it copies" in str(found)
    assert found.beyond_chance.value == pytest.approx(1) and found.beyond_chance.error == pytest.approx(
        10 * found.error
    )
    for fair in (honest, normal(500, 8, 5, mean=3.0)):  # good, or so bad that few real images are nearest to all
        found = copying(fair, train, held_out)
        assert abs(found.share - 0.9) < 4 * found.error and "no more than chance" in str(found)
        assert found.beyond_chance.value == pytest.approx((found.share - 0.9) / 0.1)
