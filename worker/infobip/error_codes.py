"""Infobip's error codes for SMS and MMS: what each means for an attempt, and one sentence for a person. Pure data.

The outcome follows the `permanent` flag Infobip publishes for the code ("the same message, unchanged, would fail
again"): true is PERMANENT, false TRANSIENT. A comment stands where we depart from it, or keep it though it is odd.
DLT codes (4106-4158) have no published flag: the comment above them says how each was decided.

`block` is set only where something kept for or by the recipient stands between us and this number: a consent fact.
Block.ALL where nothing may go: the operator's or the account's block list, and the recipient's own word to the carrier
(STOP, a blocked sender). Block.MARKETING where that bars advertising alone, so that a one-time password may still go:
do-not-disturb registers, and the preferences kept on the DLT platform.
It is None where the line, the operator's policy, the sender or the content is the obstacle: none of these says what
the recipient wants, and a wrong opt-out would silence a willing customer for good.
Source: Infobip's published error code reference (general, MMS and DLT lists).
"""

from typing import Final, NamedTuple

from worker.words import Block, Outcome


class ErrorCode(NamedTuple):
    id: int
    group_id: int | None  # 0 OK, 1 handset, 2 user, 3 operator; None: not published (MMS and DLT codes)
    name: str
    outcome: Outcome | None  # None: the code says nothing, so the status decides
    sentence: str
    block: Block | None = None


TRANSIENT: Final = Outcome.TRANSIENT
PERMANENT: Final = Outcome.PERMANENT
EXPIRED: Final = Outcome.EXPIRED
ACCOUNT: Final = Outcome.ACCOUNT

PHONE_AWAY = "The phone was off or out of coverage. It is tried again while the message is valid."
PHONE_FAULT = "The phone could not take the message because of a fault of its own. It is tried again while valid."
NETWORKS_DISAGREE = (
    "Two mobile networks on the way disagreed on the signalling protocol. "
    "It is tried again; if it happens often on one network, tell Infobip."
)
NETWORK_UNREACHED = (
    "The signalling network could not reach the recipient's network. "
    "It is tried again; if it happens often on one network, tell Infobip."
)
PEER_ABORTED = "The recipient's network broke off the delivery. It is tried again while the message is valid."
SIGNALLING_ABORTED = "A signalling fault broke off the delivery. It is tried again while the message is valid."
NETWORK_FAULT = "The recipient's network had a fault. It is tried again while the message is valid."
OPERATOR_FAULT = "The recipient's operator failed for good and gave no usable reason. Ask Infobip before sending again."
VALIDITY_OVER = (
    "The validity ran out before the phone could be reached. It is tried again only if time is left on our side."
)
NUMBER_INVALID = "The number is not valid. Check its country code and length before sending again."
NO_SMS_SERVICE = "The recipient's line does not take SMS. Use another number or another channel."
LINE_STOPPED = (
    "The operator has stopped the recipient's line. Use another number; this one may be given to somebody else."
)
SENDER_REFUSED = "The sender is not valid or not registered for this operator. Register it with Infobip or use another."
SENDER_BLOCKED = "The sender is blocked. Ask Infobip to lift the block, or use another sender."
CONTENT_REFUSED = "The operator refused the content. Change the text or media, or ask Infobip to have it allowed."
CAMPAIGN_NOT_READY = (
    "The campaign is not registered or not active with the operator (US). Fix it with Infobip, then replay."
)
DEMO_ONLY = "The limits of Infobip's demo short code stopped it. Use a sender of your own."
RECIPIENT_BLOCKS_SENDER = "The recipient had this short code blocked. Do not send again without a new consent."
NO_SMPP_LINK = "No SMPP connection was there to take the message. Ask Infobip about the route, then replay."
FLOOD_FILTER = "Infobip's flood filter: too many messages to this number within an hour. It is tried again later."
MMS_CONTENT_UNREADABLE = "The linked media could not be fetched. Check that the link is public and lasts, then replay."
MMS_SUBJECT = "The MMS subject is not valid. Correct it and send again."

DLT_IDS_ENTITY = "Check the principal entity ID on the surface and on the DLT portal, then replay."
DLT_IDS_TEMPLATE = "Check the content template ID and the DLT portal, then replay."
DLT_ASK_ENTITY = "Settle it with the operator's DLT desk, then replay."
DLT_ASK_INFOBIP = "Infobip holds this registration: ask its support, then replay."
DLT_CHAIN = "Complete the PE-TM chain on the DLT portal together with Infobip, then replay."

# One row to a line, two where the sentence is its own: the formatter would spread each over eight.
# fmt: off
ERROR_CODES: Final[tuple[ErrorCode, ...]] = (
    # Also sent when the operator gave no code at all, so it decides nothing.
    ErrorCode(0, 0, "NO_ERROR", None, "Infobip gave no error. The status alone tells what happened."),

    # Handset errors
    ErrorCode(1, 1, "EC_UNKNOWN_SUBSCRIBER", PERMANENT,
              "The operator does not know this number. Check it and take it off the list if it is out of use."),
    ErrorCode(2, 1, "EC_UNKNOWN_BASE_STATION", TRANSIENT, NETWORK_FAULT),
    ErrorCode(5, 1, "EC_UNIDENTIFIED_SUBSCRIBER", TRANSIENT,
              "The network serving the phone could not identify the recipient. It is tried again while valid."),
    ErrorCode(6, 1, "EC_ABSENT_SUBSCRIBER_SM", TRANSIENT, PHONE_AWAY),
    ErrorCode(7, 1, "EC_UNKNOWN_EQUIPMENT", TRANSIENT,
              "The network does not know the recipient's device. It is tried again while the message is valid."),
    ErrorCode(8, 1, "EC_ROAMING_NOT_ALLOWED", TRANSIENT,
              "The recipient is roaming where messages cannot follow. It is tried again while the message is valid."),
    # Barred by the network, for whatever reason: not the recipient's wish, so no consent fact.
    ErrorCode(9, 1, "EC_ILLEGAL_SUBSCRIBER", PERMANENT,
              "The network refuses this subscriber, often a barred line. Check the number or use another channel."),
    ErrorCode(11, 1, "EC_TELESERVICE_NOT_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(12, 1, "EC_ILLEGAL_EQUIPMENT", PERMANENT,
              "The network bars the recipient's device. Use another number or another channel."),
    ErrorCode(13, 1, "EC_CALL_BARRED", TRANSIENT,
              "The operator has barred the recipient's line, often for unpaid bills. It is tried again while valid."),
    ErrorCode(21, 1, "EC_FACILITY_NOT_SUPPORTED", TRANSIENT,
              "The phone or its network lacks a feature the message needs. It is tried again while valid."),
    ErrorCode(27, 1, "EC_ABSENT_SUBSCRIBER", TRANSIENT, PHONE_AWAY),
    ErrorCode(31, 1, "EC_SUBSCRIBER_BUSY_FOR_MT_SMS", TRANSIENT,
              "The phone was busy receiving another message. It is tried again while the message is valid."),
    ErrorCode(32, 1, "EC_SM_DELIVERY_FAILURE", TRANSIENT,
              "The phone did not accept the message and gave no cause. It is tried again while valid."),
    ErrorCode(33, 1, "EC_MESSAGE_WAITING_LIST_FULL", TRANSIENT,
              "Too many messages already wait for this phone at its operator. It is tried again while valid."),
    ErrorCode(34, 1, "EC_SYSTEM_FAILURE", TRANSIENT, NETWORK_FAULT),
    ErrorCode(35, 1, "EC_DATA_MISSING", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(36, 1, "EC_UNEXPECTED_DATA_VALUE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(255, 1, "EC_UNKNOWN_ERROR", TRANSIENT,
              "The operator failed to deliver and gave no cause. It is tried again while the message is valid."),
    ErrorCode(256, 1, "EC_SM_DF_MEMORYCAPACITYEXCEEDED", TRANSIENT,
              "The phone's message memory is full. It is tried again while the message is valid."),
    ErrorCode(257, 1, "EC_SM_DF_EQUIPMENTPROTOCOLERROR", TRANSIENT, PHONE_FAULT),
    ErrorCode(258, 1, "EC_SM_DF_EQUIPMENTNOTSM_EQUIPPED", TRANSIENT, PHONE_FAULT),
    ErrorCode(259, 1, "EC_SM_DF_UNKNOWNSERVICECENTRE", TRANSIENT, PHONE_FAULT),
    ErrorCode(260, 1, "EC_SM_DF_SC_CONGESTION", TRANSIENT,
              "The operator's message centre was congested. It is tried again while the message is valid."),
    ErrorCode(261, 1, "EC_SM_DF_INVALIDSME_ADDRESS", TRANSIENT, PHONE_FAULT),
    ErrorCode(262, 1, "EC_SM_DF_SUBSCRIBERNOTSC_SUBSCRIBER", TRANSIENT, PHONE_FAULT),
    ErrorCode(500, 1, "EC_PROVIDER_GENERAL_ERROR", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(502, 1, "EC_NO_RESPONSE", TRANSIENT,
              "The operator was given the message and never answered. It is tried again while the message is valid."),
    ErrorCode(503, 1, "EC_SERVICE_COMPLETION_FAILURE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(504, 1, "EC_UNEXPECTED_RESPONSE_FROM_PEER", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(507, 1, "EC_MISTYPED_PARAMETER", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(508, 1, "EC_NOT_SUPPORTED_SERVICE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(509, 1, "EC_DUPLICATED_INVOKE_ID", TRANSIENT, NETWORKS_DISAGREE),
    # No short code reaches this operator's customers: its policy, not the recipient's wish.
    ErrorCode(565, 1, "EC_CANNOT_RECEIVE_SC", PERMANENT,
              "The recipient's operator takes no messages from short codes. Send from a long number instead."),
    ErrorCode(573, 1, "EC_SC_BLOCKED_BY_END_USER", PERMANENT, RECIPIENT_BLOCKS_SENDER, Block.ALL),
    ErrorCode(581, 1, "EC_USER_OUT_OF_CREDIT", TRANSIENT,
              "The recipient's prepaid line is out of credit. It is tried again while the message is valid."),
    # Called temporary, yet flagged permanent: the flag is kept, Infobip knows its own retries.
    ErrorCode(628, 1, "EC_TEMPORARY_HANDSET_FAILURE", PERMANENT,
              "The phone failed, and Infobip calls that final for this message. Replay it later if it still matters."),
    ErrorCode(629, 1, "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(1024, 1, "EC_OR_APPCONTEXTNOTSUPPORTED", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1025, 1, "EC_OR_INVALIDDESTINATIONREFERENCE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1026, 1, "EC_OR_INVALIDORIGINATINGREFERENCE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1027, 1, "EC_OR_ENCAPSULATEDAC_NOTSUPPORTED", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1028, 1, "EC_OR_TRANSPORTPROTECTIONNOTADEQUATE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1029, 1, "EC_OR_NOREASONGIVEN", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1030, 1, "EC_OR_POTENTIALVERSIONINCOMPATIBILITY", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(1031, 1, "EC_OR_REMOTENODENOTREACHABLE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1152, 1, "EC_NNR_NOTRANSLATIONFORANADDRESSOFSUCHNATURE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1153, 1, "EC_NNR_NOTRANSLATIONFORTHISSPECIFICADDRESS", TRANSIENT,
              "The networks found no way to this one number. It is tried again; check the number if it keeps failing."),
    ErrorCode(1154, 1, "EC_NNR_SUBSYSTEMCONGESTION", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1155, 1, "EC_NNR_SUBSYSTEMFAILURE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1156, 1, "EC_NNR_UNEQUIPPEDUSER", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1157, 1, "EC_NNR_MTPFAILURE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1158, 1, "EC_NNR_NETWORKCONGESTION", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1159, 1, "EC_NNR_UNQUALIFIED", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1160, 1, "EC_NNR_ERRORINMESSAGETRANSPORTXUDT", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1161, 1, "EC_NNR_ERRORINLOCALPROCESSINGXUDT", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1162, 1, "EC_NNR_DESTINATIONCANNOTPERFORMREASSEMBLYXUDT", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1163, 1, "EC_NNR_SCCPFAILURE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1164, 1, "EC_NNR_HOPCOUNTERVIOLATION", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1165, 1, "EC_NNR_SEGMENTATIONNOTSUPPORTED", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1166, 1, "EC_NNR_SEGMENTATIONFAILURE", TRANSIENT, NETWORK_UNREACHED),
    ErrorCode(1281, 1, "EC_UA_USERSPECIFICREASON", TRANSIENT, PEER_ABORTED),
    ErrorCode(1282, 1, "EC_UA_USERRESOURCELIMITATION", TRANSIENT, PEER_ABORTED),
    ErrorCode(1283, 1, "EC_UA_RESOURCEUNAVAILABLE", TRANSIENT, PEER_ABORTED),
    ErrorCode(1284, 1, "EC_UA_APPLICATIONPROCEDURECANCELLATION", TRANSIENT, PEER_ABORTED),
    ErrorCode(1536, 1, "EC_PA_PROVIDERMALFUNCTION", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1537, 1, "EC_PA_SUPPORTINGDIALOGORTRANSACTIONREALEASED", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1538, 1, "EC_PA_RESSOURCELIMITATION", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1539, 1, "EC_PA_MAINTENANCEACTIVITY", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1540, 1, "EC_PA_VERSIONINCOMPATIBILITY", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1541, 1, "EC_PA_ABNORMALMAPDIALOG", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1792, 1, "EC_NC_ABNORMALEVENTDETECTEDBYPEER", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1793, 1, "EC_NC_RESPONSEREJECTEDBYPEER", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1794, 1, "EC_NC_ABNORMALEVENTRECEIVEDFROMPEER", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1795, 1, "EC_NC_MESSAGECANNOTBEDELIVEREDTOPEER", TRANSIENT, SIGNALLING_ABORTED),
    ErrorCode(1796, 1, "EC_NC_PROVIDEROUTOFINVOKE", TRANSIENT, SIGNALLING_ABORTED),

    # User errors
    ErrorCode(323, 2, "EC_INVALID_REQUEST_TYPE", PERMANENT,
              "Infobip does not accept this type of request. Check the surface's channel and sender, then replay."),
    ErrorCode(351, 2, "EC_INVALID_DESTINATION_ADDRESS", TRANSIENT,
              "The operator called the number invalid, but not for good. It is tried again; check the number."),
    ErrorCode(352, 2, "EC_INVALID_REQUEST_DESTINATION", PERMANENT, NUMBER_INVALID),
    ErrorCode(355, 2, "EC_MSG_TEXT_TOO_LONG", PERMANENT, "The text is too long. Shorten it and send again."),
    ErrorCode(368, 2, "EC_INVALID_SOURCE_ADDRESS", PERMANENT, SENDER_REFUSED),
    ErrorCode(433, 2, "EC_ACCOUNT_ACCESS_DENIED", PERMANENT,
              "The Infobip account is not allowed to send this. Ask Infobip to enable it, then replay."),
    ErrorCode(541, 2, "EC_LIMIT_REACHED", TRANSIENT,
              "The campaign went over its rate at a US operator. It is tried again; lower the surface's rate."),
    ErrorCode(542, 2, "EC_QUOTA_REACHED", TRANSIENT,
              "The brand's daily quota at a US operator is used up. It is tried again while the message is valid."),
    ErrorCode(572, 2, "EC_CAMPAIGNID_NOT_PROVISIONED", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(577, 2, "EC_ACC_NOT_PROVISIONED_TO_SMS_DEMO_SC", PERMANENT, DEMO_ONLY),
    ErrorCode(578, 2, "EC_EXCEEDED_THE_TIME_LIMIT_OF_SMS_DEMO", PERMANENT, DEMO_ONLY),
    ErrorCode(579, 2, "EC_DEST_ADDRESS_NOT_IN_SMS_DEMO", PERMANENT, DEMO_ONLY),
    ErrorCode(580, 2, "EC_EXCEEDED_THE_MAX_NUMBER", PERMANENT, DEMO_ONLY),
    ErrorCode(594, 2, "EC_INVALID_GLOBAL_CAMPAIGN_ID", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(597, 2, "EC_ACC_HAS_NO_ADRESS_FOR_DESR", PERMANENT,
              "No sender on the Infobip account reaches this destination. Add one with Infobip, then replay."),
    ErrorCode(598, 2, "EC_INTERACTION_NOT_SUPPORTED", PERMANENT,
              "Two-way messaging does not exist for this destination. Use a one-way sender."),
    ErrorCode(601, 2, "EC_ACC_NOT_2_WAY", PERMANENT,
              "The Infobip account lacks two-way SMS. Ask Infobip to enable it, or use a one-way sender."),
    # The name speaks of content; Infobip's text says that the recipient sent STOP.
    ErrorCode(603, 2, "EC_CONTENT_BLOCKED", PERMANENT,
              "The recipient has opted out by sending STOP. Do not send again without a new consent.",
              Block.ALL),
    # By Infobip's text the campaign's block list holds content, so it says nothing of the recipient.
    ErrorCode(604, 2, "EC_BLOCKED_BY_CAMPAIGN_BLACKLIST", PERMANENT,
              "The campaign's block list stopped the content. Change the text, or ask Infobip about the list."),
    ErrorCode(607, 2, "EC_REJECTED_SPAM_BY_OPERATOR", PERMANENT,
              "The operator took the message for spam. Change the text, or ask Infobip to have it allowed."),
    ErrorCode(608, 2, "EC_SIGNALS_BLOCKED", TRANSIENT,
              "Infobip's anti-fraud check (Signals) found the number too risky. It is tried again while valid."),
    ErrorCode(609, 2, "EC_SIGNALS_HARD_LIMIT_REACHED", PERMANENT,
              "Infobip's anti-fraud cap for the day is reached; it resets at midnight UTC. Replay after that."),
    # The SIM, on its operator's list for whatever reason; a consent fact is kept by number and would outlive the SIM.
    ErrorCode(2049, 2, "EC_IMSI_BLACKLISTED", PERMANENT,
              "The recipient's SIM card is on a block list. Use another number or another channel."),
    ErrorCode(2052, 2, "EC_BLACKLISTED_DESTINATIONADDRESS", PERMANENT,
              "The number is on the operator's block list or the account's own. Leave it out, or have it taken off.",
              Block.ALL),
    ErrorCode(2053, 2, "EC_BLACKLISTED_SENDERADDRESS", PERMANENT, SENDER_BLOCKED),
    # The line is gone, which is not a wish of its owner; the number's next owner may opt in.
    ErrorCode(3041, 2, "EC_DEACTIVATED_LIST", PERMANENT,
              "The number is listed as deactivated. Take it off the list; it may be given to somebody else."),
    ErrorCode(4096, 2, "EC_INVALID_PDU_FORMAT", PERMANENT,
              "The message was malformed on its way to the operator. Ask Infobip, giving the message ID."),
    # Flagged permanent, but it is the account and not the message, as with status 12: nothing is burnt, the lanes wait.
    ErrorCode(4099, 2, "EC_MONTHLY_LIMIT_REACHED", ACCOUNT,
              "The Infobip account has used up its monthly limit. Raise the limit; its messages wait until then."),
    # Expiry comes with status 15, which decides alone; with any other status it was cancelled, so it is not sent again.
    ErrorCode(4100, 2, "EC_MESSAGE_CANCELED", PERMANENT,
              "The message was cancelled at Infobip before it went on. Replay it if that was not intended."),
    # Flagged permanent for the message as submitted; a new attempt carries a new validity if time is left.
    ErrorCode(4101, 2, "EC_VALIDITY_EXPIRED", EXPIRED, VALIDITY_OVER),
    ErrorCode(4102, 2, "EC_NOTSUBMITTEDTOSMPPCHANNEL", PERMANENT, NO_SMPP_LINK),
    # Flagged permanent, but the filter counts by the hour, as with status 20: later the same message passes.
    ErrorCode(4103, 2, "EC_DESTINATION_FLOODING", TRANSIENT, FLOOD_FILTER),
    ErrorCode(4104, 2, "EC_DESTINATION_TXT_FLOODING", TRANSIENT, FLOOD_FILTER),
    ErrorCode(4202, 2, "EC_10DLC_LIMIT_REACHED", PERMANENT,
              "The 10DLC limit at a US operator is reached. Ask Infobip to raise it, or replay when it has reset."),

    # Operator errors
    ErrorCode(10, 3, "EC_BEARER_SERVICE_NOT_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(15, 3, "EC_CUG_REJECT", TRANSIENT,
              "The recipient's line takes messages only from a closed group. It is tried again while valid."),
    ErrorCode(20, 3, "EC_SS_INCOMPATIBILITY", TRANSIENT,
              "A service on the recipient's line got in the way. It is tried again while the message is valid."),
    ErrorCode(24, 3, "EC_NO_RADIO_RESOURCE_AVAILABLE", TRANSIENT,
              "The radio network near the phone was full. It is tried again while the message is valid."),
    # Congestion passes, yet it is flagged permanent: kept, since the operator has refused this message.
    ErrorCode(51, 3, "EC_RESOURCE_LIMITATION", PERMANENT,
              "The operator refused the message because its network was congested. Replay it later."),
    ErrorCode(71, 3, "EC_UNKNOWN_ALPHABET", TRANSIENT,
              "The operator did not know the message's alphabet. It is tried again; transliteration may help."),
    ErrorCode(345, 3, "EC_OPERATOR_NOT_FOUND", PERMANENT,
              "No operator was found for this number. Check the number before sending again."),
    ErrorCode(375, 3, "EC_SOURCE_ADDRESS_IS_BLOCKED", PERMANENT, SENDER_BLOCKED),
    ErrorCode(488, 3, "EC_TF_NUMBER_NOT_VERIFIED", PERMANENT,
              "The toll-free sender is not verified or over its limit. Have Infobip verify it, then replay."),
    ErrorCode(501, 3, "EC_INVALID_RESPONSE_RECEIVED", TRANSIENT,
              "The operator's answer could not be read. It is tried again while the message is valid."),
    # The operator's decision about its customer (560, 566) is not the customer's own: no consent fact.
    ErrorCode(560, 3, "EC_SC_BLOCKED_FOR_END_USER", PERMANENT,
              "The operator blocks this short code for the recipient. Send from another number."),
    ErrorCode(561, 3, "EC_CONTENT_BLOCKED_BY_OPERATOR", PERMANENT, CONTENT_REFUSED),
    ErrorCode(562, 3, "EC_SC_NOT_PROVISIONED", PERMANENT, SENDER_REFUSED),
    ErrorCode(563, 3, "EC_SC_EXPIRED", PERMANENT,
              "The short code's registration with the operator has run out. Renew it with Infobip, then replay."),
    ErrorCode(564, 3, "EC_SC_BLOCKED", PERMANENT, SENDER_BLOCKED),
    ErrorCode(566, 3, "EC_DESTINATION_BLOCKED_BY_OPERATOR", PERMANENT,
              "The operator lets no short code send to this number. Send from a long number."),
    ErrorCode(568, 3, "EC_DESTINATION_NOT_SMS_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(569, 3, "EC_DEST_ADDRESS_SUSPENDED", PERMANENT, LINE_STOPPED),
    ErrorCode(571, 3, "EC_CAMPAIGN_ID_REJECTED", TRANSIENT,
              "A US operator refused the campaign ID, but not for good. It is tried again; check the campaign."),
    ErrorCode(574, 3, "EC_BLOCKED_NEW_SUBSCRIPTIONS_FOR_SC", PERMANENT,
              "The operator takes no new subscribers for this short code. Ask Infobip, or use another sender."),
    ErrorCode(592, 3, "EC_ACCOUNT_NOT_PROVISIONED_FOR_CHANNEL", PERMANENT,
              "The Infobip account is not set up for the recipient's network. Ask Infobip to add it, then replay."),
    # 630 and 631 read like passing trouble, yet are flagged permanent: kept.
    ErrorCode(630, 3, "EC_DEST_OVERLOADED", PERMANENT,
              "The recipient's network was overloaded and gave the message up. Replay it later."),
    ErrorCode(631, 3, "EC_MOBILE_OPERATOR_NETWORK_ERROR", PERMANENT,
              "The operator's network failed and gave the message up. Replay it later."),
    ErrorCode(632, 3, "EC_SMS_REJECTED_BY_MOBILE_OPERATOR", PERMANENT,
              "The operator refused the message for this number. Ask Infobip for the reason before sending again."),
    ErrorCode(633, 3, "EC_UNKNOWN_MOBILE_OPERATOR", PERMANENT, OPERATOR_FAULT),
    ErrorCode(810, 3, "EC_FAILED_MESSAGE_DELIVERY", PERMANENT, OPERATOR_FAULT),
    # As 4101.
    ErrorCode(811, 3, "EC_MESSAGE_EXPIRED", EXPIRED, VALIDITY_OVER),
    ErrorCode(815, 3, "EC_MESSAGE_SUBMITTED_NOT_ACKED", PERMANENT,
              "The operator took the message but never confirmed it. It may have arrived: ask Infobip first."),
    ErrorCode(2048, 3, "EC_TIME_OUT", TRANSIENT,
              "The operator did not answer in time. It is tried again while the message is valid."),
    ErrorCode(2050, 3, "EC_DEST_ADDRESS_BLACKLISTED", PERMANENT,
              "The number is on the operator's do-not-disturb register, which bars marketing. Send none to it.",
              Block.MARKETING),
    # Named for a bad switch address, described as block-listed text: either way not the recipient's wish.
    ErrorCode(2051, 3, "EC_INVALIDMSCADDRESS", TRANSIENT,
              "The text or a network address was refused; Infobip does not say which. It is tried again."),
    ErrorCode(4097, 3, "EC_NOTSUBMITTEDTOGMSC", TRANSIENT,
              "Infobip failed before any operator had the message. It is tried again while the message is valid."),
    # Flagged transient; the validity that ran out may be ours, so time decides, as with status 15.
    ErrorCode(4098, 3, "EC_VP_EXPIRED", EXPIRED, VALIDITY_OVER),
    # The same code is published under two groups.
    ErrorCode(4102, 3, "EC_NOTSUBMITTEDTOSMPPCHANNEL", PERMANENT, NO_SMPP_LINK),
    ErrorCode(5492, 3, "EC_DUPLICATE_MESSAGE", PERMANENT,
              "The operator says it already had the same message for this number. Do not send it again as it is."),

    # MMS
    ErrorCode(15000, None, "EC_MMS_GENERAL_ERROR", TRANSIENT,
              "The MMS provider failed and gave no cause. It is tried again while the message is valid."),
    ErrorCode(15002, None, "EC_SYSTEM_ERROR", PERMANENT,
              "The MMS system failed, and Infobip calls it final for this message. Replay it later."),
    ErrorCode(15003, None, "EC_MSISDN_NOT_REGISTERED", PERMANENT,
              "The operator does not know this number for MMS. Check it, or send an SMS."),
    ErrorCode(15004, None, "EC_DEFERRED", TRANSIENT,
              "The phone fetched only the MMS notice, not the content. It is tried again while the message is valid."),
    ErrorCode(15005, None, "EC_MMS_FORWARDED", PERMANENT,
              "The recipient passed the MMS on unopened. There is nothing to send again."),
    # As 4101.
    ErrorCode(15006, None, "EC_VALIDITY_EXPIRED", EXPIRED, VALIDITY_OVER),
    ErrorCode(15007, None, "EC_CONTENT_CANNOT_BE_DOWNLOADED_ON_HANDSET", PERMANENT,
              "The phone cannot download the MMS content. Send smaller or simpler media, or an SMS."),
    ErrorCode(15008, None, "EC_PROVIDER_DELIVERY_ERROR", PERMANENT,
              "The MMS provider failed while delivering, for good. Ask Infobip before sending again."),
    ErrorCode(15009, None, "EC_RECIPIENT_NOT_FOUND", PERMANENT,
              "The operator knows no such recipient. Check the number before sending again."),
    ErrorCode(15010, None, "EC_SOURCE_ADDRESS_NOT_REGISTERED", PERMANENT, SENDER_REFUSED),
    # The operator's block and for MMS only, as 560: no consent fact.
    ErrorCode(15011, None, "EC_RECIPIENT_BLOCKED_BY_OPERATOR", PERMANENT,
              "The operator blocks MMS for this recipient. Send an SMS instead."),
    ErrorCode(15012, None, "EC_DRM_NOT_SUPPORTED", PERMANENT,
              "The phone cannot take copy-protected media. Send media without protection."),
    ErrorCode(15013, None, "EC_MMS_CONTENT_BLOCKED_BY_OPERATOR", PERMANENT, CONTENT_REFUSED),
    ErrorCode(15014, None, "EC_MMS_INVALID_SUBJECT", PERMANENT, MMS_SUBJECT),
    ErrorCode(15015, None, "EC_MMS_SC_BLOCKED_BY_END_USER", PERMANENT, RECIPIENT_BLOCKS_SENDER, Block.ALL),
    ErrorCode(15016, None, "EC_UNKNOWN_CARRIER", PERMANENT,
              "The number's operator could not be found out. Check the number before sending again."),
    ErrorCode(15017, None, "EC_RECIPIENT_DEACTIVATED", PERMANENT, LINE_STOPPED),
    ErrorCode(15018, None, "EC_RECIPIENT_SUSPENDED", PERMANENT, LINE_STOPPED),
    ErrorCode(15019, None, "EC_HANDSET_DOES_NOT_SUPPORT_MMS", PERMANENT,
              "The recipient's phone cannot receive MMS. Send an SMS instead."),
    ErrorCode(15020, None, "EC_CAMPAIGN_BLOCKED_BY_OPERATOR", PERMANENT,
              "The operator has blocked the campaign. Settle it through Infobip, then replay."),
    ErrorCode(15021, None, "EC_CAMPAIGN_INFO_NOT_PROVISIONED", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(15022, None, "EC_URL_ATTACHMENT_TOO_LARGE", PERMANENT,
              "The file behind the link is too large. Make it smaller and send again."),
    ErrorCode(15023, None, "EC_FAILED_TO_ROUTE_MESSAGE", PERMANENT,
              "Infobip has no route for this MMS. Ask Infobip, or send an SMS."),
    ErrorCode(15024, None, "EC_REMOTE_CONTENT_FAILURE", PERMANENT, MMS_CONTENT_UNREADABLE),
    ErrorCode(15025, None, "EC_REMOTE_CONTENT_INTERNAL_FAILURE", PERMANENT, MMS_CONTENT_UNREADABLE),
    ErrorCode(15026, None, "EC_TOO_BIG_CONTENT", PERMANENT,
              "The MMS is larger than the operator allows. Keep the whole message below 300 KB and send again."),
    ErrorCode(15200, None, "EC_INVALID_MSG_TYPE", PERMANENT,
              "The type of the MMS is not valid. Check its segments and send again."),
    ErrorCode(15201, None, "EC_MMS_INVALID_DESTINATION_ADDRESS", PERMANENT, NUMBER_INVALID),
    ErrorCode(15202, None, "EC_MMS_INVALID_SOURCE_ADDRESS", PERMANENT, SENDER_REFUSED),
    ErrorCode(15203, None, "EC_INVALID_SUBJECT", PERMANENT, MMS_SUBJECT),

    # India DLT, no flag published. TRANSIENT is what the same message can pass later with nobody doing anything:
    # 4107 and 4141, the check itself failed; 4138, the hour was wrong and will be right; 4144, a part was lost on its
    # way. Every other code names a registration, an ID, a text or a chain that stays wrong until a person changes it.
    # That holds for 4132 too: among the operators' codes behind these it is one of the template faults, and a check
    # that fails has its own (4141).
    ErrorCode(4106, None, "EC_BLOCKED_BY_DLT", PERMANENT,
              "The DLT check blocked the message without saying which rule it broke. Ask Infobip for the reason."),
    ErrorCode(4107, None, "EC_DLT_SCRUBBING_TIMEOUT", TRANSIENT,
              "The DLT check did not answer in time. It is tried again while the message is valid."),
    ErrorCode(4108, None, "EC_SENDER_BLOCKED_BY_DLT", PERMANENT,
              "The DLT platform blocks this sender. Check the header on the DLT portal, then replay."),
    ErrorCode(4109, None, "EC_TELEMARKETER_BLOCKED_BY_DLT", PERMANENT,
              "The DLT platform blocks the telemarketer. " + DLT_ASK_INFOBIP),
    ErrorCode(4110, None, "EC_ENTITY_BLOCKED_BY_DLT", PERMANENT,
              "The DLT platform blocks the principal entity. " + DLT_ASK_ENTITY),
    ErrorCode(4111, None, "EC_TEMPLATE_BLOCKED_BY_DLT", PERMANENT,
              "The DLT platform blocks the template or its text. Check both on the DLT portal, then replay."),
    ErrorCode(4112, None, "EC_ENTITY_NOT_FOUND", PERMANENT,
              "The DLT platform did not find the principal entity. " + DLT_IDS_ENTITY),
    ErrorCode(4113, None, "EC_ENTITY_NOT_REGISTERED", PERMANENT,
              "The principal entity is not registered on the DLT platform. " + DLT_IDS_ENTITY),
    ErrorCode(4114, None, "EC_ENTITY_INACTIVE", PERMANENT,
              "The principal entity is inactive on the DLT platform. " + DLT_ASK_ENTITY),
    ErrorCode(4115, None, "EC_ENTITY_BLACKLISTED", PERMANENT,
              "The principal entity is block-listed on the DLT platform. " + DLT_ASK_ENTITY),
    ErrorCode(4116, None, "EC_INVALID_ENTITY_ID", PERMANENT,
              "The principal entity ID is malformed or missing. " + DLT_IDS_ENTITY),
    ErrorCode(4117, None, "EC_ENTITY_ID_NOT_ALLOWED_FOR_TM", PERMANENT,
              "The chain does not allow this telemarketer for the principal entity. " + DLT_CHAIN),
    ErrorCode(4118, None, "EC_TELEMARKETER_NOT_REGISTERED", PERMANENT,
              "The telemarketer is not registered on the DLT platform. " + DLT_ASK_INFOBIP),
    ErrorCode(4119, None, "EC_TELEMARKETER_INACTIVE", PERMANENT,
              "The telemarketer is inactive on the DLT platform. " + DLT_ASK_INFOBIP),
    ErrorCode(4120, None, "EC_TELEMARKETER_BLACKLISTED", PERMANENT,
              "The telemarketer is block-listed on the DLT platform. " + DLT_ASK_INFOBIP),
    ErrorCode(4121, None, "EC_HEADER_NOT_FOUND", PERMANENT,
              "The header is unknown to the DLT platform. Check the surface's sender, case included, then replay."),
    ErrorCode(4122, None, "EC_HEADER_INACTIVE", PERMANENT,
              "The header is inactive on the DLT platform. Activate it on the DLT portal, then replay."),
    ErrorCode(4123, None, "EC_HEADER_BLACKLISTED", PERMANENT,
              "The header is block-listed on the DLT platform. " + DLT_ASK_ENTITY),
    ErrorCode(4124, None, "EC_PEID_NOT_MATCHED_WITH_HEADER", PERMANENT,
              "The header belongs to another principal entity. Correct the sender or the entity ID, then replay."),
    ErrorCode(4125, None, "EC_HEADER_IN_FREEPOOL", PERMANENT,
              "No principal entity owns this header. Register it on the DLT portal, then replay."),
    ErrorCode(4126, None, "EC_TEMPLATE_NOT_FOUND", PERMANENT,
              "The DLT platform did not find the template. " + DLT_IDS_TEMPLATE),
    ErrorCode(4127, None, "EC_TEMPLATE_INACTIVE", PERMANENT,
              "The template is inactive on the DLT platform. Activate it on the DLT portal, then replay."),
    ErrorCode(4128, None, "EC_TEMPLATE_BLACKLISTED", PERMANENT,
              "The template is block-listed on the DLT platform. " + DLT_ASK_ENTITY),
    ErrorCode(4129, None, "EC_TEMPLATE_NOT_MATCHED", PERMANENT,
              "The text does not match its DLT template. Correct the text or the content template ID and send again."),
    ErrorCode(4130, None, "EC_HEADER_NOT_REGISTERED_FOR_TEMPLATE", PERMANENT,
              "The template is not registered for this header. Link the two on the DLT portal, then replay."),
    ErrorCode(4131, None, "EC_TEMPLATE_VARIABLE_EXCEEDED_MAX_LENGTH", PERMANENT,
              "A value put into the template is too long. Shorten it, or register a template with more variables."),
    ErrorCode(4132, None, "EC_ERROR_IDENTIFYING_TEMPLATE", PERMANENT,
              "The DLT check could not tell which template the text follows. " + DLT_IDS_TEMPLATE),
    ErrorCode(4133, None, "EC_INVALID_TEMPLATE_ID", PERMANENT,
              "The content template ID is malformed or unknown. " + DLT_IDS_TEMPLATE),
    ErrorCode(4134, None, "EC_TEMPLATE_NOT_REGISTERED_TO_ENTITY", PERMANENT,
              "The template belongs to another principal entity. Correct the template or entity ID, then replay."),
    ErrorCode(4135, None, "EC_PROMOTIONAL_TEMPLATE_USED_ON_OTHERS_HEADER", PERMANENT,
              "A promotional template was sent under a header that is not promotional. Use a promotional header."),
    ErrorCode(4136, None, "EC_INVALID_TEMPLATE_TYPE", PERMANENT,
              "The template's type does not fit this traffic. " + DLT_IDS_TEMPLATE),
    # The DLT platform keeps preferences by number and at the recipient's own word, like a DND register: a consent fact,
    # and as there of promotional traffic alone.
    ErrorCode(4137, None, "EC_PREFERENCE_NOT_MATCHED", PERMANENT,
              "The recipient's DLT preferences bar marketing like this message. Send none to the number.",
              Block.MARKETING),
    # The window opens again at 10:00 India time, so a later attempt of the same message passes.
    ErrorCode(4138, None, "EC_INVALID_PROMO_TIME", TRANSIENT,
              "Promotional messages are closed from 21:00 to 10:00 in India. It is tried again; set a sending window."),
    ErrorCode(4139, None, "EC_SE_CATEGORY_BLOCK", PERMANENT,
              "The DLT check blocks this category. Check the template's category on the DLT portal, then replay."),
    # A missing consent record is not an opt-out, and one wrong consent template of ours would opt out a whole list.
    ErrorCode(4140, None, "EC_CONSENT_FAILED", PERMANENT,
              "The DLT platform holds no valid consent. Check the consent template and the recipient's consent."),
    ErrorCode(4141, None, "EC_SCRUBBING_FAILED", TRANSIENT,
              "The DLT check itself failed. It is tried again while the message is valid."),
    ErrorCode(4142, None, "EC_TLV_PEID_NOT_FOUND", PERMANENT,
              "The message went out without a principal entity ID. Set it on the surface or the batch, then replay."),
    ErrorCode(4143, None, "EC_TLV_TMPID_NOT_FOUND", PERMANENT,
              "The message went out without a content template ID. Set it on the surface or the batch, then replay."),
    ErrorCode(4144, None, "EC_CONTENT_MULTIPART_INCOMPLETE_BY_DLT", TRANSIENT,
              "A part of a long message was lost before the DLT check. It is tried again while the message is valid."),
    ErrorCode(4146, None, "EC_HEADER_SUSPENDED_DUE_TO_VALIDITY", PERMANENT,
              "The header is suspended: its registration has run out. Renew it on the DLT portal, then replay."),
    ErrorCode(4147, None, "EC_HEADER_SUSPENDED_DUE_TO_USAGE", PERMANENT,
              "The header is suspended because of how it was used. Reactivate it on the DLT portal, then replay."),
    ErrorCode(4148, None, "EC_HEADER_SUSPENDED_DUE_TO_CUSTOMER", PERMANENT,
              "The header is suspended by its owner. Reactivate it on the DLT portal, then replay."),
    ErrorCode(4149, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_VALIDITY", PERMANENT,
              "The template is suspended: its registration has run out. Renew it on the DLT portal, then replay."),
    ErrorCode(4150, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_USAGE", PERMANENT,
              "The template is suspended because of how it was used. Reactivate it on the DLT portal, then replay."),
    ErrorCode(4151, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_CUSTOMER", PERMANENT,
              "The template is suspended by its owner. Reactivate it on the DLT portal, then replay."),
    ErrorCode(4153, None, "EC_CTA_NOT_WHITELISTED", PERMANENT,
              "A link or phone number in the text is not on the DLT allow list. Register it there, then replay."),
    ErrorCode(4154, None, "EC_PE_TM_HASH_NOT_RECEIVED", PERMANENT,
              "The message came without its PE-TM chain. " + DLT_CHAIN),
    ErrorCode(4155, None, "EC_PE_TM_HASH_NOT_REGISTERED", PERMANENT,
              "The PE-TM chain is not registered for this principal entity. " + DLT_CHAIN),
    ErrorCode(4156, None, "EC_PE_TM_HASH_INACTIVE", PERMANENT,
              "A telemarketer in the PE-TM chain is inactive. " + DLT_CHAIN),
    ErrorCode(4157, None, "EC_PE_TM_HASH_BLACKLISTED", PERMANENT,
              "The PE-TM chain is block-listed. " + DLT_CHAIN),
    ErrorCode(4158, None, "EC_PE_TM_HASH_SUSPENDED", PERMANENT,
              "The PE-TM chain was suspended by its owner. " + DLT_CHAIN),
)
# fmt: on
