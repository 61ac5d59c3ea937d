"""The modules that make images: what is sampled from and scored."""

from t2igan.models.adversarial import AdversarialModule
from t2igan.models.spatext_diffusion import SpaTextDiffusion

DrawingModule = AdversarialModule | SpaTextDiffusion
"""Has ``generator`` (widths of the noise, sizes of the images), ``averages`` and ``synthesise``."""
