"""The behavioral suite's measures as cases that any CI service can list."""

from eval.behavior import Behavior
from eval.estimates import Estimate
from eval.junit import Case


def behavior_cases(behavior: Behavior | None) -> list[Case]:
    """Each measure of the suite as a case that only tells its value; bounds are the gate's."""
    if behavior is None:
        return []
    swap, topics, pairs = (
        behavior.actor_swap,
        behavior.topic_without_frame,
        behavior.minimal_pairs,
    )
    return [
        _case("actor swap: flip rate", swap.overall.flip_rate),
        *(_case(f"actor swap: flip rate, {key}", e.flip_rate) for key, e in swap.labels.items()),
        _case("topic without frame: false positives", topics.overall),
        *(_case(f"topic without frame: {rule}", e) for rule, e in topics.rules.items()),
        _case("minimal pairs: both sides right", pairs.overall),
        *(_case(f"minimal pairs: both sides right, {k}", e) for k, e in pairs.labels.items()),
        *(
            _case(f"robustness: flip rate, {name}", result.overall)
            for name, result in behavior.robustness.items()
        ),
    ]


def _case(name: str, value: Estimate) -> Case:
    text = f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f}, n = {value.count}); no bound"
    return Case(name, True, text)
