"""Maps that know nothing of the network, or of the scan, as if each were a method."""

import numpy as np

from mri_saliency.attribution.batch import Batch
from mri_saliency.attribution.explainer import Explainer
from mri_saliency.checks.checked_scans import CheckedMethod, registered
from mri_saliency.checks.shuffled_weights import randomised

OTHER_SHUFFLE = 1_000  # none of those that the checks compare with


def impostors(explainer):
    """Name -> method; `explainer` has the network that is checked."""
    genuine = registered(["integrated_gradients"])["integrated_gradients"].compute
    *_, (_, shuffled) = randomised(explainer.network, OTHER_SHUFFLE)
    shuffled = Explainer(shuffled, explainer.settings)
    generator = np.random.default_rng(0)

    def difference(_, batch):
        return np.abs(as_maps(batch.inputs) - as_maps(batch.baselines))

    def shuffled_network(_, batch):
        # a batch of its own, without the other network's logits
        return genuine(shuffled, Batch(batch.inputs, batch.baselines, batch.scan_ids, batch.targets))

    def network_shuffled_again(explainer, batch):
        *_, (_, again) = randomised(explainer.network, OTHER_SHUFFLE)
        bare = Batch(batch.inputs, batch.baselines, batch.scan_ids, batch.targets)
        return genuine(Explainer(again, explainer.settings), bare)

    def another_scan(explainer, batch):
        return np.roll(genuine(explainer, batch), 1, axis=0)

    def noise(_, batch):
        shape = as_maps(batch.inputs).shape[1:]
        return np.stack(
            [np.random.default_rng(list(i.encode())).standard_normal(shape) for i in batch.scan_ids]
        )

    def new_noise(_, batch):
        return generator.standard_normal(as_maps(batch.inputs).shape)

    functions = (difference, shuffled_network, network_shuffled_again, another_scan, noise, new_noise)
    return {
        function.__name__: CheckedMethod(function, signed=function is not difference)
        for function in functions
    }


def as_maps(volumes):
    """Return a batch's volumes (n, 128, 128, n_slices) as maps (n, n_slices, 128, 128)."""
    return volumes.permute(0, 3, 1, 2).cpu().numpy()


def failed_checks(answers):
    return [check for check, verdict in answers.items() if verdict.passed is False]
