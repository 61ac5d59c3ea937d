"""The modules that generate images, for sampling and scoring."""

from t2igan.models.adversarial import AdversarialModule
from t2igan.models.spatext_diffusion import SpaTextDiffusion

DrawingModule = AdversarialModule | SpaTextDiffusion
"""Has ``generator`` (widths of the noise, sizes of the images), ``averages`` and ``synthesise``."""
