"""Infobip's own Python SDK as a witness: it works against the sandbox unchanged, and reads what the sandbox pushes."""

import warnings
from datetime import UTC, datetime, timedelta

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # The SDK's code is not ours to mend.
    import infobip_api_client
    from infobip_api_client import models
    from infobip_api_client.api.sms_api import SmsApi


@pytest.fixture
def sdk(sandbox):
    configuration = infobip_api_client.Configuration(host=sandbox.url, api_key="test-key")
    with infobip_api_client.ApiClient(configuration) as client:
        yield SmsApi(client)


def sdk_request(*numbers, url=None):
    message = models.SmsMessage(
        sender="KITEBK",
        destinations=[models.SmsDestination(to=to, message_id=f"m-{to}") for to in numbers],
        content=models.SmsMessageContent(models.SmsTextContent(text="Your order leaves today.")),
        options=models.SmsMessageOptions(
            validity_period=models.ValidityPeriod(amount=90),
            regional=models.SmsRegionalOptions(
                india_dlt=models.SmsIndiaDltOptions(principal_entity_id="1201", content_template_id="1207")
            ),
        ),
        webhooks=models.SmsWebhooks(
            delivery=models.SmsMessageDeliveryReporting(url=url) if url else None, callback_data="tenant=14"
        ),
    )
    options = models.SmsMessageRequestOptions(
        schedule=models.SmsRequestSchedulingSettings(bulk_id="b-1", send_at=datetime.now(UTC)),
        include_sms_count_in_response=True,
    )
    return models.SmsRequest(messages=[message], options=options)


def test_sdk_sends_and_reads_the_answer(sdk, sandbox):
    answer = sdk.send_sms_messages(sdk_request("919900000100", "919900009005"))
    assert answer.bulk_id == "b-1"
    assert [entry.status.name for entry in answer.messages] == ["PENDING_ACCEPTED", "REJECTED_DESTINATION"]
    assert answer.messages[0].details.message_count == 1
    assert sandbox.messages()[0]["validity_seconds"] == 5400


def test_sdk_reads_logs_by_cursor(sdk):
    numbers = [f"91990000{n:04d}" for n in range(3)]
    sdk.send_sms_messages(sdk_request(*numbers))
    since = datetime.now(UTC) - timedelta(hours=1)
    first = sdk.get_outbound_sms_message_logs(bulk_id=["b-1", "b-2"], sent_since=since, use_cursor=True, limit=2)
    rest = sdk.get_outbound_sms_message_logs(bulk_id=["b-1"], use_cursor=True, limit=2, cursor=first.cursor.next_cursor)
    assert sorted(row.destination for row in first.results + rest.results) == numbers
    assert first.results[0].content.actual_instance.text == "Your order leaves today."
    assert rest.cursor.next_cursor is None


def test_sdk_pulls_reports(sdk, until):
    sdk.send_sms_messages(sdk_request("919900000100", "919900009003"))
    until(lambda: sdk.get_outbound_sms_message_logs(general_status=models.MessageGeneralStatus.DELIVERED).results)
    result = sdk.get_outbound_sms_message_delivery_reports(bulk_id="b-1")
    assert [(report.status.id, report.error.id, report.error.permanent) for report in result.results] == [
        (5, 0, False),
        (9, 1, True),
    ]
    assert result.results[0].callback_data == "tenant=14"


def test_sdk_reads_what_is_pushed(sdk, receiver, until):
    numbers = ["919900000100", "919900009001", "919900009003", "919900009006", "919900009007", "919900009008"]
    sdk.send_sms_messages(sdk_request(*numbers, url=receiver.url))
    until(lambda: len(receiver.reports()) == len(numbers) + 2)
    for body in receiver.bodies:
        parsed = models.SmsDeliveryResult.from_dict(body)
        assert parsed.results[0].done_at.tzinfo is not None
        assert parsed.to_dict()["results"][0].keys() == body["results"][0].keys()


def test_sdk_reads_inbound_messages_that_are_pushed(sandbox, receiver, until):
    sandbox.write("STOP", url=receiver.url, message_id="in-1")
    body = until(lambda: receiver.bodies)[0]
    parsed = models.SmsInboundMessageResult.from_dict(body)
    assert (parsed.message_count, parsed.pending_message_count) == (1, 0)
    message = parsed.results[0]
    assert (message.var_from, message.to, message.text, message.sms_count) == (
        "919900000001",
        "919200000009",
        "STOP",
        1,
    )
    assert message.received_at.tzinfo is not None
    assert parsed.to_dict()["results"][0].keys() == body["results"][0].keys()


def test_sdk_pulls_inbound_messages(sdk, sandbox):
    for text in ("JOIN", "YES", "STOP"):
        sandbox.write(text)
    first, rest = sdk.get_inbound_sms_messages(limit=2), sdk.get_inbound_sms_messages()
    assert ([message.text for message in first.results], first.message_count) == (["JOIN", "YES"], 2)
    assert first.pending_message_count == 1
    assert ([message.text for message in rest.results], rest.pending_message_count) == (["STOP"], 0)
    assert sdk.get_inbound_sms_messages(application_id="orders", entity_id="tenant-14").results == []


def test_sdk_raises_its_own_errors_from_our_bodies(sdk):
    with pytest.raises(infobip_api_client.exceptions.BadRequestException) as refused:
        sdk.send_sms_messages(sdk_request("919900009009"))
    assert "E400" in refused.value.body


def test_sdk_previews(sdk):
    preview = sdk.preview_sms_message(models.SmsPreviewRequest(text="Hello"))
    assert preview.previews[0].characters_remaining == 155
