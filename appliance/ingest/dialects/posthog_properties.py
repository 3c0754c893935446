"""Which properties of PostHog's events say what is kept elsewhere or means nothing here, so that they are not kept as
properties of every event: what the libraries add to everything, from the page's address to their own version.

What is not named here is kept as it was sent, because it is the site's own or what the event is about
(`$feature_flag`, `$el_text`, `$exception_list`, `$groups`, ...).
"""

from collections.abc import Mapping
from typing import Any

# Campaign tags and click ids; posthog-js sends null for each that the page's address does not have, and remembers them
# longer than the visit that they are about.
_CAMPAIGN = """
    utm_source utm_medium utm_campaign utm_content utm_term gad_source mc_cid gclid gclsrc dclid gbraid wbraid fbclid
    msclkid twclid li_fat_id igshid ttclid rdt_cid epik qclid sccid oppref bfcid irclid _kx
"""
_PLUMBING = """
    token distinct_id
    $set $set_once $unset $anon_distinct_id $device_id $user_id $user_state $is_identified $process_person_profile
    $had_persisted_distinct_id $is_server $cookieless_mode $cookieless_extra $session_id $window_id $pageview_id
    $current_url $host $pathname $referrer $referring_domain $raw_user_agent $user_agent $useragent $ip $geoip_disable
    $browser $browser_version $browser_language $browser_language_prefix $browser_type $os $os_name $os_version
    $os_distro $device_type $locale $timezone $timezone_offset $screen_width $screen_height $screen_name
    $viewport_width $viewport_height $app_name
    $ce_version $insert_id $time $ignore_sent_at $event_time_override_provided $event_time_override_system_time
    $lib $lib_version $lib_custom_api_host $lib_rate_limit_remaining_tokens $sdk_dist_channel $config_defaults
    $initialization_time $configured_session_timeout_ms $python_runtime $python_version $context_tags
    $active_feature_flags $feature_flag_payloads $recording_status $web_vitals_enabled_server_side
    $exception_capture_enabled_server_side $autocapture_disabled_server_side $dead_clicks_enabled_server_side
    $console_log_recording_enabled_server_side $user_agent_data
"""
_CAMPAIGN_NAMES = frozenset(_CAMPAIGN.split())
_NOT_KEPT = _CAMPAIGN_NAMES | frozenset(_PLUMBING.split())
_PREFIXES = ("$sdk_debug_", "$session_entry_", "$session_recording_", "$prev_pageview_", "$initial_", "$replay_")


def own(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What remains when the libraries' own are taken away."""
    return {
        name: value
        for name, value in properties.items()
        if name not in _NOT_KEPT and not (name[:1] == "$" and name.startswith(_PREFIXES))
    }


def traits(stated: Any) -> dict[str, Any]:
    """What `$set` or `$set_once` says of the person, without what the libraries say of their page and device."""
    if not isinstance(stated, dict):
        return {}
    return {
        name: value
        for name, value in stated.items()
        if name[:1] != "$" and (name not in _CAMPAIGN_NAMES or value is not None)
    }
