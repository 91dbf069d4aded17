"""Trains the stand-in for AlexNet's first layers that ships with this package: not ImageNet's.

The three layers of `sadefect.features.build_extractor` learn to tell from which of a few images a
crop is, and by how many quarter turns it was rotated. The images are photographs and textures of
scikit-image whose documentation says that they are free, and defect-free synthetic ones of ours;
none of the images that the methods of this book are scored on. Their head is thrown away.

About eight minutes on one core, the same numbers every time on one machine::

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 python -m tools.train_standin

A path after that is where the file goes instead of into the package.

Another machine, or more threads, rounds otherwise and ends at other weights; the file that ships is
one such run, and its fingerprint says so.

References
----------
S. Gidaris, P. Singh and N. Komodakis, "Unsupervised Representation Learning by Predicting Image
Rotations", 2018, arXiv:1803.07728; A. Dosovitskiy et al., "Discriminative Unsupervised Feature
Learning with Exemplar Convolutional Neural Networks", 2014, arXiv:1406.6909
"""

import sys

import keras
import numpy as np
from keras import layers, ops
from skimage import color, data, transform

from sadefect.datasets import load_dataset
from sadefect.features import CONVOLUTIONS, STANDIN, build_extractor, fingerprint, read_weights
from sadefect.files import save_arrays

# Free by the documentation of scikit-image, and part of its wheel.
PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "grass"),
    *("gravel", "hubble_deep_field", "immunohistochemistry", "retina", "rocket", "text"),
)
# Number of training images drawn, the last of them held out.
SYNTHETIC = {"synthetic/weave": 12, "synthetic/twill": 12, "synthetic/fibres": 5}
SCALES = (0.8, 1.0, 1.25)  # At which images are seen in training.
SIDES = (96, 112, 128)  # Of a crop, in pixels; one for each batch.
NOISE = 0.04  # Largest standard deviation added to a crop.
BATCH = 32
SEED = 1  # Of the synthetic images: every page of the book has those of seed 0.
STEPS = 4_000
LEARNING_RATE = 5e-4  # At the start; falls to 0 along half a cosine.


def sources():
    """What is cropped: for each source its name, the images to train on and those held out.

    Of a photograph the right third is held out, of synthetic images the last of them. Images to
    train on come at several scales.
    """
    found = []
    for name in PHOTOGRAPHS:
        image = getattr(data, name)()
        image = color.rgb2gray(image) if image.ndim == 3 else image / 255
        cut = 2 * image.shape[1] // 3
        found.append((name, _scaled(image[:, :cut]), [image[:, cut:]]))
    for name, count in SYNTHETIC.items():
        images = [sample.read_image() for sample in load_dataset(name, seed=SEED).train[:count]]
        held_out = max(1, count // 4)
        scaled = [each for image in images[:-held_out] for each in _scaled(image)]
        found.append((name, scaled, images[-held_out:]))
    return found


def _scaled(image):
    return [transform.rescale(image, scale, anti_aliasing=scale < 1) for scale in SCALES]


def crops(images, side, rng, noise=0.0):
    """A batch of turned crops with jittered gray values, of which source, and how far turned.

    Parameters
    ----------
    images : list of list of ndarray
        Images of each source, gray in [0, 1].
    side : int
        In pixels.
    rng : numpy.random.Generator
    noise : float
        Largest standard deviation of Gaussian noise.

    Returns
    -------
    tuple of ndarray
        ``(B, side, side, 1)`` float32 in [0, 1], numbers of sources, numbers of quarter turns.
    """
    batch = np.empty((BATCH, side, side, 1), "float32")
    source, turns = rng.integers(len(images), size=BATCH), rng.integers(4, size=BATCH)
    for number in range(BATCH):
        image = images[source[number]][rng.integers(len(images[source[number]]))]
        row, column = (rng.integers(length - side + 1) for length in image.shape)
        crop = image[row : row + side, column : column + side]
        # Mirrored left to right, a picture is as upright as before.
        crop = np.rot90(crop[:, :: rng.choice((-1, 1))], turns[number])
        contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-0.15, 0.15)
        middle = crop.mean()
        crop = contrast * (crop - middle) + middle + brightness
        crop = crop + rng.normal(0, rng.uniform(0, noise), crop.shape)
        batch[number, ..., 0] = np.clip(crop, 0, 1)
    return batch, source, turns


def train(path=STANDIN, *, steps=STEPS, seed=0):
    """Train the stand-in, say how good it is on held-out crops, and write it to a file.

    Parameters
    ----------
    path : path
        Of the ``.npz`` file, float16 in torch's layout.
    steps : int
    seed : int

    Returns
    -------
    dict of str to float
        Shares of held-out crops that are told apart, for "source" and "rotation".
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    names, training, held_out = zip(*sources(), strict=True)
    extractor = build_extractor()
    extractor.trainable = True
    pooled = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(extractor.output))
    heads = {"source": len(names), "rotation": 4}
    logits = {task: layers.Dense(count, name=task)(pooled) for task, count in heads.items()}
    model = keras.Model(extractor.input, logits)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        {task: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for task in heads},
    )
    for step in range(1, steps + 1):
        batch, source, turns = crops(training, int(rng.choice(SIDES)), rng, NOISE)
        loss = model.train_on_batch(batch, {"source": source, "rotation": turns}, return_dict=True)
        if step % 250 == 0 or step == steps:
            print(f"step {step}: loss {float(loss['loss']):.3f}", flush=True)
    weights = {}
    for number, (key, *_) in enumerate(CONVOLUTIONS, 1):
        layer = extractor.get_layer(f"conv{number}")
        kernel, bias = (array.astype("float16") for array in layer.get_weights())
        weights |= {f"{key}.weight": kernel.transpose(3, 2, 0, 1), f"{key}.bias": bias}
        layer.set_weights([kernel, bias])  # What is scored is what is saved.
    save_arrays(path, **weights)
    truth, right = [], {task: [] for task in heads}
    for number in range(120):
        batch, source, turns = crops(held_out, SIDES[number % len(SIDES)], rng)
        found = model.predict_on_batch(batch)
        truth += list(source)
        for task, wanted in (("source", source), ("rotation", turns)):
            right[task] += list(ops.convert_to_numpy(found[task]).argmax(-1) == wanted)
    truth, right = np.array(truth), {task: np.array(each) for task, each in right.items()}
    for number, name in enumerate(names):
        shares = (f"{task} {each[truth == number].mean():.0%}" for task, each in right.items())
        print(f"{name}: {', '.join(shares)}")
    for task, count in heads.items():
        print(f"{task}: {right[task].mean():.1%} of held-out crops, chance {1 / count:.1%}")
    print("standin-" + fingerprint(read_weights(path)))
    return {task: float(each.mean()) for task, each in right.items()}


if __name__ == "__main__":
    train(*sys.argv[1:2])
