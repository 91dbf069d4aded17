"""Sparse codes of patches, and dictionaries to code them in; whole batches of patches at once.

References
----------
.. [1] A. Beck and M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear
   Inverse Problems", 2009, doi:10.1137/080716542
.. [2] B. O'Donoghue and E. Candès, "Adaptive Restart for Accelerated Gradient Schemes", 2015,
   doi:10.1007/s10208-013-9150-3
.. [3] J. Mairal, F. Bach, J. Ponce and G. Sapiro, "Online Learning for Matrix Factorization and
   Sparse Coding", JMLR 11, 2010: the update of a dictionary, one atom after the other
"""

import numpy as np

BATCH = 2_048  # Patches coded at once: their codes fit into a processor's cache.
CHECK = 5  # Iterations between two looks at which patches are done.
SWEEPS = 3  # Over all atoms, each time that a dictionary is updated.


def shrink(values, amount):
    """Threshold softly: take the proximal step of ``amount`` times the l1 norm.

    Examples
    --------
    >>> shrink(np.array([-3.0, 0.5, 2.0]), 1.0).tolist()
    [-2.0, 0.0, 1.0]
    """
    return values - np.clip(values, -amount, amount)


def sparse_codes(
    patches, dictionary, penalty, *, groups=1, group_penalty=0.0, start=None, iterations=300,
    tolerance=1e-3,
):  # fmt: skip
    r"""Code patches in a dictionary by FISTA with restarts.

    Minimises, for each patch s,

    .. math:: \tfrac12 |xD - s|^2 + \lambda |x|_1 + \xi \sum_g |x_g|_2

    Patches are ``(n, pixels)``, the dictionary ``(atoms, pixels)``; the penalties are
    :math:`\lambda` and :math:`\xi`, of ``groups`` that have as many consecutive atoms each. Codes
    ``start`` from zeros by default; a patch is done when its code moves by less than ``tolerance``
    times its length, at the latest after so many iterations. Returns a float32 array ``(n,
    atoms)``.
    """
    dictionary = np.asarray(dictionary, "float32")
    patches = np.asarray(patches, "float32")
    gram = dictionary @ dictionary.T
    step = np.float32(1 / max(np.linalg.eigvalsh(gram)[-1], 1e-12))

    def proximal(codes):
        codes = shrink(codes, step * np.float32(penalty))
        if group_penalty:
            grouped = codes.reshape(len(codes), groups, -1)
            lengths = np.linalg.norm(grouped, axis=2, keepdims=True)
            grouped *= np.maximum(1 - step * group_penalty / np.maximum(lengths, 1e-12), 0)
        return codes

    codes = np.zeros((len(patches), len(dictionary)), "float32")
    if start is not None:
        codes[:] = start
    for first in range(0, len(patches), BATCH):
        rows = slice(first, first + BATCH)
        linear = step * (patches[rows] @ dictionary.T)
        _fista(codes[rows], linear, step * gram, proximal, iterations, tolerance)
    return codes


def _fista(codes, linear, quadratic, proximal, iterations, tolerance):
    """Improve codes in place; patches that are done leave the batch."""
    active, x = np.arange(len(codes)), codes.copy()
    y, t = x.copy(), np.ones((len(x), 1), "float32")
    for iteration in range(1, iterations + 1):
        z = proximal(y - y @ quadratic + linear)
        move = z - x
        backwards = np.einsum("ij,ij->i", y - z, move)[:, None] > 0
        following = np.where(backwards, 1, (1 + np.sqrt(1 + 4 * t**2)) / 2).astype("float32")
        y = z + np.where(backwards, 0, (t - 1) / following) * move
        x, t = z, following
        if iteration % CHECK == 0 or iteration == iterations:
            moved = np.einsum("ij,ij->i", move, move)
            going_on = moved > tolerance**2 * np.einsum("ij,ij->i", x, x)
            done = ~going_on if iteration < iterations else np.ones(len(x), bool)
            codes[active[done]] = x[done]
            if not going_on.any():
                return
            active, x, y, t, linear = (part[going_on] for part in (active, x, y, t, linear))


def learned_dictionary(patches, atoms, penalty, rng, *, rounds=20, iterations=20):
    """Learn a dictionary of so many atoms in which patches ``(n, pixels)`` have sparse codes.

    Coding, with the penalty of `sparse_codes`, and one update of every atom take turns; codes start
    where the last ones ended. Atoms that no patch uses become the patches that are coded worst.
    They take ``rounds`` turns, with as many ``iterations`` of FISTA each time. Returns float32
    ``(atoms, pixels)``, atoms of length 1.
    """
    patches = np.asarray(patches, "float32")
    dictionary = patches[rng.choice(len(patches), atoms, replace=len(patches) < atoms)].copy()
    # Patches alone may be equal or empty.
    scale = np.abs(dictionary).mean() or 1
    dictionary += rng.normal(0, 0.1 * scale, dictionary.shape).astype("float32")
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = None
    for _ in range(rounds):
        codes = sparse_codes(patches, dictionary, penalty, start=codes, iterations=iterations)
        _update(dictionary, codes, patches)
    return dictionary


def _update(dictionary, codes, patches):
    """Give each atom in turn the direction that lowers the error most, the others held."""
    products, targets = codes.T @ codes, codes.T @ patches
    used = np.flatnonzero(np.diag(products) > 1e-8)
    for _ in range(SWEEPS):
        for atom in used:
            direction = targets[atom] - products[atom] @ dictionary
            direction += products[atom, atom] * dictionary[atom]
            dictionary[atom] = direction / max(np.linalg.norm(direction), 1e-12)
    unused = np.setdiff1d(np.arange(len(dictionary)), used)
    if len(unused):
        errors = np.square(codes @ dictionary - patches).sum(axis=1)
        worst = np.argsort(-errors, kind="stable")[: len(unused)]
        lengths = np.maximum(np.linalg.norm(patches[worst], axis=1, keepdims=True), 1e-12)
        dictionary[unused[: len(worst)]] = patches[worst] / lengths
