"""Names of models and providers, without importing litellm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .library import litellm, loaded

OFFLINE_POLICY = "rlm-offline/policy"
OFFLINE_READER = "rlm-offline/reader"

KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "azure": "AZURE_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "groq": "GROQ_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "xai": "XAI_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
    "fireworks_ai": "FIREWORKS_AI_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "cohere": "COHERE_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "moonshot": "MOONSHOT_API_KEY",
    "dashscope": "DASHSCOPE_API_KEY",
    "zai": "ZAI_API_KEY",
    "nvidia_nim": "NVIDIA_NIM_API_KEY",
}

SIGN_IN = {"github_copilot", "chatgpt"}  # litellm asks for a sign-in in the browser and blocks meanwhile

EXAMPLES = (
    "openai/gpt-5",
    "openai/gpt-5-mini",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-pro",
    "openrouter/qwen/qwen3-coder",
    "ollama_chat/qwen3",
    "hosted_vllm/NAME",
    "lm_studio/NAME",
)


def is_offline(name: str) -> bool:
    """Whether a model's name is one of the offline ones."""
    return name.partition("/")[0] == OFFLINE_POLICY.partition("/")[0]


def key_variable(provider: str) -> str:
    """The environment variable that holds a provider's key."""
    return KEY_VARIABLES.get(provider, f"{provider.upper()}_API_KEY")


def configured_providers(environ: Mapping[str, str]) -> list[str]:
    """The providers whose key is set, by name; never a value."""
    return [provider for provider, variable in KEY_VARIABLES.items() if environ.get(variable)]


def known_models() -> list[str]:
    """Model names for completion: litellm's chat models if it is imported already, else a few examples."""
    if not loaded():
        return list(EXAMPLES)
    library = litellm()
    providers = provider_names(library)
    chat = (_full_name(name, entry) for name, entry in library.model_cost.items() if entry.get("mode") == "chat")
    return sorted({name for name in chat if name.split("/")[0] in providers})


def provider_names(library: Any) -> set[str]:
    """What may stand before the first slash of a model name."""
    return {str(getattr(provider, "value", provider)) for provider in library.provider_list} - SIGN_IN


def _full_name(name: str, entry: Mapping[str, Any]) -> str:
    return name if "/" in name else f"{entry.get('litellm_provider')}/{name}"
