"""Names, classes, objects: the registry, and construction of objects from configs.

Only the standard library and the Jsonnet binding are imported here.
"""

from hessinf.registry.bounds import Above, AtLeast, AtMost, Below, Between, Bound
from hessinf.registry.catalogue import Catalogue, Registration
from hessinf.registry.errors import (
    ConfigError,
    JsonnetError,
    PluginError,
    Problem,
    RegistrationError,
    UnknownNameError,
)
from hessinf.registry.jsonnet import JsonnetOptions
from hessinf.registry.lazy import Lazy
from hessinf.registry.load import Config, load_config
from hessinf.registry.plan import Plan
from hessinf.registry.planner import plan
from hessinf.registry.plugins import Plugin, import_plugins, imported_plugins
from hessinf.registry.refusals import refusals
from hessinf.registry.registrable import Registrable
from hessinf.registry.text_bounds import Matches, RegularExpression

__all__ = [
    "Above",
    "AtLeast",
    "AtMost",
    "Below",
    "Between",
    "Bound",
    "Catalogue",
    "Config",
    "ConfigError",
    "JsonnetError",
    "JsonnetOptions",
    "Lazy",
    "Matches",
    "Plan",
    "Plugin",
    "PluginError",
    "Problem",
    "Registrable",
    "Registration",
    "RegistrationError",
    "RegularExpression",
    "UnknownNameError",
    "import_plugins",
    "imported_plugins",
    "load_config",
    "plan",
    "refusals",
]
