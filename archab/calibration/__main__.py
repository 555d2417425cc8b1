"""Do the rules keep their promises? Simulated experiments, judged by the very functions that a verdict uses.

    python -m archab.calibration                     # 2,000 experiments a line, about five minutes
    python -m archab.calibration experiments=200     # a quick look
    python -m archab.calibration +space=n_diagonal_original experiments=200   # real networks: A against itself
    python -m archab.calibration runs               # verdicts on metrics of any runs, on each path
    python -m archab.calibration gate               # sessions of changes that do nothing

Every line is a rate with its Monte-Carlo standard error and the range that it must lie in. Scores are simulated as they
are after the logarithm: a target's difficulty plus each student's own noise; crossed targets carry a home advantage.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import stats

from archab.calibration import gate, runs
from archab.calibration.networks import calibrate as on_networks
from archab.calibration.rates import Line, error_of, rate
from archab.errors import ArchabError
from archab.evidence import e_process as sequential
from archab.evidence import equivalence, statistics
from archab.evidence.power import power
from archab.evidence.statistics import Array, Group

ALPHA = 0.05
PEEKS = 200
PLANNED = 70
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, size=shape) / np.sqrt(3),
    "log-normal": lambda rng, shape: (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt(np.exp(2) - np.e),
}


def paired(noise: Noise, rng: np.random.Generator, experiments: int, n: int) -> Array:
    """Differences y_A − y_B of n targets, shape (experiments, n); the target's difficulty cancels."""
    return noise(rng, (experiments, n)) - noise(rng, (experiments, n))


def crossed(noise: Noise, rng: np.random.Generator, experiments: int, n: int) -> Array:
    """Differences of n pairs of targets, either side at home in one: an advantage of one sd of a difference."""
    home = float(np.sqrt(2))
    on_a, on_b = paired(noise, rng, experiments, n) - home, paired(noise, rng, experiments, n) + home
    return np.asarray((on_a + on_b) / 2)


def unpaired(noise: Noise, rng: np.random.Generator, experiments: int, n: int) -> tuple[Array, Array]:
    """Scores of n students a side on targets of their own, each of shape (experiments, n)."""
    a, b = (noise(rng, (experiments, n)) + noise(rng, (experiments, n)) for _ in range(2))
    return a, b


def false_positives(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """A/A, one look at n targets a side."""
    for name, noise in NOISES.items():
        for n in (8, 20):
            a, b = unpaired(noise, rng, experiments, n)
            p_values = {
                "paired": [statistics.paired_p(d / n) for d in paired(noise, rng, experiments, n)],
                "crossed": [statistics.paired_p(d / n) for d in crossed(noise, rng, experiments, n)],
                "unpaired": [statistics.unpaired_p([Group(x, y)]) for x, y in zip(a, b, strict=True)],
            }
            for design, p in p_values.items():
                slack = 3 * error_of(ALPHA, experiments)
                low, high = min(0.03, ALPHA - slack), max(0.07, ALPHA + slack)
                yield rate("A/A, fixed n", f"{design}, {name}, n={n}", np.array(p) <= ALPHA, low, high)


def ever_rejecting(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """A/A, looking after each of 200 rounds; and a user who adds seeds in descending order, looking after each."""
    most = ALPHA + 3 * error_of(ALPHA, experiments)
    for name, noise in NOISES.items():
        a, b = unpaired(noise, rng, experiments, PEEKS)
        rounds = {
            "paired": paired(noise, rng, experiments, PEEKS),
            "crossed": crossed(noise, rng, experiments, PEEKS),
            "unpaired": a - b,
        }
        for design, d in rounds.items():
            ever = sequential.log_e_path(d).max(axis=1) >= -np.log(ALPHA)
            yield rate(f"A/A, anytime, {PEEKS} looks", f"{design}, {name}", ever, 0.0, most)
    d = paired(NOISES["normal"], rng, experiments, PEEKS // 2)
    in_order = [sequential.log_e_path(d[:, :k]).max(axis=1) for k in range(1, d.shape[1] + 1)]
    ever = np.max(in_order, axis=0) >= -np.log(ALPHA)
    yield rate("A/A, anytime, seeds added in front", "read in order of first start", ever, 0.0, most)
    ascending = [sequential.log_e_path(d[:, k - 1 :: -1]).max(axis=1) for k in range(1, d.shape[1] + 1)]
    ever = np.max(ascending, axis=0) >= -np.log(ALPHA)
    yield rate("  the same, were they read", "in ascending order (never do)", ever, most, 1.0)


def hybrid(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """The hybrid rule with a planned N of 70: false positives, power at the planned effect, rounds saved."""
    effect = _planned_effect(PLANNED)
    for factor in (0.0, 1.0, 1.5, 2.0):
        found, used = [], []
        for d in rng.normal(factor * effect, 1.0, (experiments, PLANNED)):
            early = sequential.crossing(sequential.log_e_path(d), sequential.EARLY * ALPHA)
            found.append(True if early else sequential.hybrid_p(d, PLANNED) <= ALPHA)
            used.append(early or PLANNED)
        setting = f"N={PLANNED}, truth {factor:g} × planned"
        if factor == 0:
            yield rate(
                "hybrid, false positives", setting, np.array(found), 0.0, ALPHA + 3 * error_of(ALPHA, experiments)
            )
        if factor == 1:
            yield rate("hybrid, power", setting, np.array(found), 0.84, 1.0)
        if factor > 0:
            saved = 1 - np.array(used) / PLANNED
            low = 0.45 if factor == 1.5 else 0.0
            error = float(saved.std() / np.sqrt(experiments))
            yield Line("hybrid, rounds saved", setting, float(saved.mean()), error, low, 1.0)


def coverage(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """How often the t interval of symmetric differences holds the truth."""
    for name in ("normal", "t3"):
        for n in (6, 10, 20):
            inside = []
            for d in paired(NOISES[name], rng, experiments, n):
                low, high = statistics.t_interval(statistics.paired_estimate(d / n), ALPHA)
                inside.append(low <= 0 <= high)
            low_bound = min(0.93, 0.95 - 3 * error_of(0.05, experiments))
            yield rate("coverage of the t interval", f"{name}, n={n}", np.array(inside), low_bound, 1.0)


def equivalent(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """Three members, of which one differs by exactly the margin: together they are well within it."""
    margin, most = 1.10, ALPHA + 3 * error_of(ALPHA, experiments)
    edge = np.array([np.log(margin), 0, 0])
    for n in (20, 60):
        d = rng.normal(edge, 0.03, (experiments, n, 3))
        looks = [equivalence.of_rounds(rounds, margin, ALPHA).all for rounds in d]
        yield rate("equivalence at the margin, one look", f"3 members, n={n}", np.array(looks), 0.0, most)
        anytime = [equivalence.anytime(rounds, margin, ALPHA).all for rounds in d]
        yield rate("equivalence at the margin, anytime", f"3 members, n={n}", np.array(anytime), 0.0, most)
        power = [equivalence.anytime(rounds - edge, margin, ALPHA).all for rounds in d]
        yield rate("  power where none differs", f"3 members, n={n}", np.array(power), 0.9, 1.0)


def logs_against_raw(experiments: int, rng: np.random.Generator) -> Iterator[Line]:
    """Power at 20 targets: our test on log errors against a t test on raw losses.

    Difficulties spread so that raw losses are as skewed as on real networks: 3.3, where 2.2 to 5.4 was measured.
    """
    n, effect = 20, 0.48
    difficulty = rng.normal(-3.0, 1.2, (experiments, n))
    a, b = (difficulty + shift + rng.normal(0, 0.5, (experiments, n)) for shift in (-effect, 0.0))
    ours = [statistics.paired_p((x - y) / n) <= ALPHA for x, y in zip(_capped(a), _capped(b), strict=True)]
    raw = stats.ttest_1samp(np.exp(_capped(a)) - np.exp(_capped(b)), 0.0, axis=1).pvalue <= ALPHA
    ours_power, raw_power = float(np.mean(ours)), float(np.mean(raw))
    yield rate("power, logs and sign-flip", f"n={n}", np.array(ours), 0.0, 1.0)
    yield rate("power, t test on raw losses", f"n={n}", raw, 0.0, 1.0)
    ratio = ours_power / raw_power
    error = ratio * np.hypot(
        error_of(ours_power, experiments) / ours_power, error_of(raw_power, experiments) / raw_power
    )
    yield Line("  ratio of the two", f"n={n}", ratio, float(error), 1.7, np.inf)


def calibrate(experiments: int = 2000, seed: int = 0) -> Iterator[Line]:
    """All lines of the table, each part from a stream of its own."""
    parts = (false_positives, ever_rejecting, hybrid, coverage, logs_against_raw, equivalent)
    for part, stream in zip(parts, np.random.SeedSequence(seed).spawn(len(parts)), strict=True):
        yield from part(experiments, np.random.default_rng(stream))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or with +space=NAME the rate on real networks; 1 if a promise is not kept."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(given):
        print(__doc__)
        return 0
    counts = [argument.partition("=")[2] for argument in given if argument.startswith("experiments=")]
    if any(not count.isdigit() or int(count) < 1 for count in counts):
        raise ArchabError(f"experiments={counts[-1]}: a whole number of at least 1 is needed")
    rest = [argument for argument in given if not argument.startswith("experiments=")]
    if any(argument.startswith("+space=") for argument in rest):
        found = on_networks(rest, int(counts[-1]) if counts else 200)
        print(found)
        return int(not found.holds)
    if rest == ["gate"]:
        print(gate.HEAD)
        return _printed(gate.calibrate(int(counts[-1]) if counts else 400))
    if rest and rest != ["runs"]:
        raise ArchabError(
            f"{rest[0]}: experiments=N is what can be set here; +space=NAME asks for real networks, runs for verdicts "
            "on metrics, gate for archab gate"
        )
    experiments = int(counts[-1]) if counts else 2000
    print(f"{'what':<44} {'setting':<28} rate ± s.e.       promised   ({experiments:,} experiments a line)")
    return _printed((runs.calibrate if rest else calibrate)(experiments))


def _printed(lines: Iterator[Line] | Iterator[gate.Outcome]) -> int:
    """Print lines as they come; 1 if one does not keep its promise."""
    broken = 0
    for line in lines:
        print(line, flush=True)
        broken += not line.holds
    return int(broken > 0)


def _capped(log_errors: Array) -> Array:
    return statistics.score(np.exp(log_errors))


def _planned_effect(n: int) -> float:
    """The effect, in sd of a difference, that a t test on n targets finds with power .90."""
    effects = np.linspace(0.1, 2.0, 1901)
    powers = np.array([power(effect, 1 / np.sqrt(n), n - 1, ALPHA) for effect in effects])
    return float(effects[np.argmax(powers >= 0.9)])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ArchabError as error:
        print(f"archab.calibration: {error}", file=sys.stderr)
        sys.exit(2)
