"""The headline: who has the lower error, where members disagree, and what design and rounds do not let it claim."""

from typing import TYPE_CHECKING

from archab.evidence import words as words

if TYPE_CHECKING:
    from archab.evidence.outcome import Verdict

CONFOUNDED = "this design cannot tell skill from easier targets"
MOST_NAMED = 4


def sentence(verdict: "Verdict") -> str:
    """The verdict in one line."""
    a, b = verdict.names
    if verdict.verdict == "undecided":
        return verdict.reason or f"No winner yet between {a} and {b}."
    if verdict.verdict == "equivalent":
        bound = f"any difference is within {verdict.margin_percent}"
        if verdict.design == "paired":
            return f"{a} and {b} learn equally well: {bound}."
        mine, theirs = _targets(verdict, a, b)
        return f"{a}'s students on {mine} targets err as {b}'s on {theirs}: {bound}; {CONFOUNDED}."
    return _won(verdict)


def title(verdict: "Verdict") -> str:
    """What was found, as a title."""
    a, b = verdict.names
    if verdict.verdict == "undecided":
        return (verdict.reason or f"No winner yet between {a} and {b}").rstrip(".")
    if verdict.verdict == "equivalent":
        verb = "learn equally well" if verdict.design == "paired" else "err equally on targets of their own"
        return f"{a} and {b} {verb}, within {verdict.margin_percent}"
    winner, loser, ratio = _sides(verdict)
    lower = words.percent(1 - ratio, verdict.margin_share)
    _, but = _where(verdict, winner)
    opposite = f", {loser}'s {but}" if but else ""
    faded = "; the evidence has faded since" if verdict.faded else ""
    if verdict.design == "unpaired":
        return f"{winner}'s students err {lower} less on their targets than {loser}'s on theirs{opposite}{faded}"
    return f"{winner}'s typical error is {lower} lower than {loser}'s{opposite}{faded}"


def word(verdict: "Verdict") -> str:
    """The verdict in a word or two: "A better", where targets differ "A lower", "equivalent", "undecided"."""
    side = {"a_better": "A", "b_better": "B"}.get(verdict.verdict)
    if side is None:
        return verdict.verdict
    return f"{side} better" if verdict.design == "paired" else f"{side} lower"


def _won(verdict: "Verdict") -> str:
    winner, loser, ratio = _sides(verdict)
    at, but = _where(verdict, winner)
    faded = _faded(verdict)
    if verdict.design == "unpaired":
        mine, theirs = _targets(verdict, winner, loser)
        less = words.lower(ratio, "less", verdict.margin_share)
        more = f", {but} more" if but else ""
        text = f"{winner}'s students on {mine} targets err {less} than {loser}'s on {theirs}{more}; {CONFOUNDED}"
        return f"{text}; {faded}." if faded else f"{text}."
    where = f" {at}, {loser} {but}" if but else ""
    lower = words.lower(ratio, "lower", verdict.margin_share)
    if faded:
        return f"{winner} learns better than {loser}{where}, {faded} (typical error {lower})."
    whose = f"over all, {winner}'s" if but else "its"
    return f"{winner} learns better than {loser}{where}: {whose} typical error is {lower}."


def _sides(verdict: "Verdict") -> tuple[str, str, float]:
    """Winner, loser, and the ratio of their errors."""
    a, b = verdict.names
    return (a, b, verdict.gmr) if verdict.verdict == "a_better" else (b, a, 1 / verdict.gmr)


def _targets(verdict: "Verdict", winner: str, loser: str) -> tuple[str, str]:
    """Whose targets the winner's students learnt, and whose the loser's, where no target has both sides."""
    students = verdict.data.students
    crosswise = set(zip(students["side"], students["source"], strict=True)) == {("a", "b"), ("b", "a")}
    return (f"{loser}'s", f"{winner}'s") if crosswise else ("their", "theirs")


def _where(verdict: "Verdict", winner: str) -> tuple[str, str]:
    """At which members the winner is better and at which the other side is; empty where none is decided for that."""
    for_a, for_b = verdict.own_sides
    own, other = (for_a, for_b) if winner == verdict.names[0] else (for_b, for_a)
    return ("", "") if not other else (places(verdict, own) or "over all members", places(verdict, other))


def places(verdict: "Verdict", positions: tuple[int, ...]) -> str:
    """Members by their positions, in words: "to rank 8", "from rank 16", "at rank 4", "at 5 of 9 members"."""
    names, n = [verdict.member_name(verdict.members[i].member) for i in positions], len(verdict.members)
    if 1 < len(names) < n and positions == tuple(range(len(names))):
        return f"to {names[-1]}"
    if 1 < len(names) < n and positions == tuple(range(n - len(names), n)):
        return f"from {names[0]}"
    if len(names) > MOST_NAMED:
        return f"at {len(names)} of {n} members"
    return f"at {words.listed(names)}" if names else ""


def _faded(verdict: "Verdict") -> str:
    if not verdict.faded:
        return ""
    rounds = f"all {len(verdict.log_e):,} rounds together do not show it"
    return f"decided at round {verdict.decided_at:,}; since then the evidence has faded: {rounds}"
