"""Infobip's error codes for SMS and MMS: what each means for an attempt, and for a person. Pure data.

The outcome follows the `permanent` flag Infobip publishes for the code ("the same message, unchanged, would fail
again"): true is PERMANENT, false TRANSIENT. A comment stands where we depart from it, or keep it though it is odd.
DLT codes (4106-4158) have no published flag: the comment above them says how each was decided.

`block` is set only where something kept for or by the recipient stands between us and this number: a consent fact.
Block.ALL where nothing may go: the operator's or the account's block list, and the recipient's own word to the carrier
(STOP, a blocked sender). Block.MARKETING where that bars advertising alone, so that a one-time password may still go:
do-not-disturb registers, and the preferences kept on the DLT platform.
It is None where the line, the operator's policy, the sender or the content is the obstacle: none of these says what
the recipient wants, and a wrong opt-out would silence a willing customer for good.

`refuses_mms` is set where the phone, its line or the network takes no MMS, while a text alone may arrive. Not where the
number itself is in doubt (15003, 15009, 15016), its line is stopped (15017, 15018), or the sender, the campaign or the
medium (15012, 15026) would stop the next MMS too: there an SMS would fail alike, or another MMS would do.
Source: Infobip's published error code reference (general, MMS and DLT lists).
"""

from typing import Final, NamedTuple

from worker.explanations import TRIED_AGAIN, Explanation
from worker.words import Block, Outcome


class ErrorCode(NamedTuple):
    id: int
    group_id: int | None  # 0 OK, 1 handset, 2 user, 3 operator; None: not published (MMS and DLT codes)
    name: str
    outcome: Outcome | None  # None: the code says nothing, so the status decides
    explanation: Explanation
    block: Block | None = None
    refuses_mms: bool = False

    @property
    def sentence(self) -> str:
        return self.explanation.sentence


TRANSIENT: Final = Outcome.TRANSIENT
PERMANENT: Final = Outcome.PERMANENT
EXPIRED: Final = Outcome.EXPIRED
ACCOUNT: Final = Outcome.ACCOUNT

PHONE_AWAY = Explanation("The phone was off or out of coverage.", TRIED_AGAIN)
PHONE_FAULT = Explanation("The phone could not take the message because of a fault of its own.", TRIED_AGAIN)
OFTEN_TELL = "Nothing to do: it is tried again. If it happens often on one network, tell Infobip."
NETWORKS_DISAGREE = Explanation("Two mobile networks on the way disagreed on the signalling protocol.", OFTEN_TELL)
NETWORK_UNREACHED = Explanation("The signalling network could not reach the recipient's network.", OFTEN_TELL)
PEER_ABORTED = Explanation("The recipient's network broke off the delivery.", TRIED_AGAIN)
SIGNALLING_ABORTED = Explanation("A signalling fault between the networks broke off the delivery.", TRIED_AGAIN)
NETWORK_FAULT = Explanation("The recipient's network had a fault.", TRIED_AGAIN)
OPERATOR_FAULT = Explanation(
    "The recipient's operator failed for good and gave no usable reason.", "Ask Infobip before sending again."
)
VALIDITY_OVER = Explanation(
    "The validity that Infobip was given ran out before the phone could be reached.",
    "Nothing to do: it is tried again if its validity period has time left.",
)
NUMBER_INVALID = Explanation(
    "Infobip or the operator refused the number as not valid.",
    "Check its country code and length before sending again.",
)
NO_SMS_SERVICE = Explanation("The recipient's line does not take SMS.", "Use another number or another channel.")
LINE_STOPPED = Explanation(
    "The operator has stopped the recipient's line.", "Use another number: this one may be given to somebody else."
)
SENDER_REFUSED = Explanation(
    "The operator refused the sender: it is not valid or not registered there.",
    "Register it with Infobip, or name another sender on the surface; then replay.",
)
SENDER_BLOCKED = Explanation(
    "The operator or Infobip blocks the sender.",
    "Ask Infobip to lift the block, or name another sender on the surface; then replay.",
)
CONTENT_REFUSED = Explanation(
    "The operator refused the content.", "Change the text or media, or ask Infobip to have it allowed."
)
CAMPAIGN_NOT_READY = Explanation(
    "The campaign is not registered or not active with the US operator.", "Put it right with Infobip, then replay."
)
DEMO_ONLY = Explanation(
    "The limits of Infobip's demo short code stopped the message.",
    "Name a sender of your own on the surface, then replay.",
)
RECIPIENT_BLOCKS_SENDER = Explanation(
    "The recipient had the operator block this short code.", "Do not send to this number again without a new consent."
)
NO_SMPP_LINK = Explanation(
    "Infobip had no SMPP connection on which to hand the message over.", "Ask Infobip about the route, then replay."
)
FLOOD_FILTER = Explanation(
    "Infobip's flood filter stopped it: too many messages to this number within an hour.",
    "Nothing to do: it is tried again later. Send this number less within an hour.",
)
MMS_CONTENT_UNREADABLE = Explanation(
    "Infobip could not fetch the linked media.", "Check that the link is public and lasts three days, then replay."
)
MMS_SUBJECT = Explanation("Infobip refused the MMS subject as not valid.", "Correct it and send again.")

# A replay keeps the DLT IDs of what it sends again unless it names others; the sender it takes from the surface.
DLT_ENTITY_ID = "Correct principal_entity_id as the DLT portal shows it, and name it in the replay."
DLT_TEMPLATE_ID = "Correct content_template_id as the DLT portal shows it, and name it in the replay."
DLT_UNBLOCK = "Have the block lifted by the operator's DLT desk, then replay."
DLT_ASK_INFOBIP = "Ask Infobip, which holds this registration, to put it right; then replay."
DLT_CHAIN = "Complete the PE-TM chain on the DLT portal together with Infobip, then replay."

# One row to a line, more where the explanation is its own: the formatter would spread each over a dozen.
# fmt: off
ERROR_CODES: Final[tuple[ErrorCode, ...]] = (
    # Also sent when the operator gave no code at all, so it decides nothing.
    ErrorCode(0, 0, "NO_ERROR", None,
              Explanation("Infobip gave no error.", "Read the status: it alone tells what happened.")),

    # Handset errors
    ErrorCode(1, 1, "EC_UNKNOWN_SUBSCRIBER", PERMANENT,
              Explanation("The operator does not know this number.",
                          "Check it, and take it off the list if it is out of use.")),
    ErrorCode(2, 1, "EC_UNKNOWN_BASE_STATION", TRANSIENT, NETWORK_FAULT),
    ErrorCode(5, 1, "EC_UNIDENTIFIED_SUBSCRIBER", TRANSIENT,
              Explanation("The network serving the phone could not identify the recipient.", TRIED_AGAIN)),
    ErrorCode(6, 1, "EC_ABSENT_SUBSCRIBER_SM", TRANSIENT, PHONE_AWAY),
    ErrorCode(7, 1, "EC_UNKNOWN_EQUIPMENT", TRANSIENT,
              Explanation("The network does not know the recipient's device.", TRIED_AGAIN)),
    ErrorCode(8, 1, "EC_ROAMING_NOT_ALLOWED", TRANSIENT,
              Explanation("The recipient is roaming where messages cannot follow.", TRIED_AGAIN)),
    # Barred by the network, for whatever reason: not the recipient's wish, so no consent fact.
    ErrorCode(9, 1, "EC_ILLEGAL_SUBSCRIBER", PERMANENT,
              Explanation("The network refuses this subscriber, often a barred line.",
                          "Check the number or use another channel.")),
    ErrorCode(11, 1, "EC_TELESERVICE_NOT_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(12, 1, "EC_ILLEGAL_EQUIPMENT", PERMANENT,
              Explanation("The network bars the recipient's device.", "Use another number or another channel.")),
    ErrorCode(13, 1, "EC_CALL_BARRED", TRANSIENT,
              Explanation("The operator has barred the recipient's line, often for unpaid bills.", TRIED_AGAIN)),
    ErrorCode(21, 1, "EC_FACILITY_NOT_SUPPORTED", TRANSIENT,
              Explanation("The phone or its network lacks a feature the message needs.", TRIED_AGAIN)),
    ErrorCode(27, 1, "EC_ABSENT_SUBSCRIBER", TRANSIENT, PHONE_AWAY),
    ErrorCode(31, 1, "EC_SUBSCRIBER_BUSY_FOR_MT_SMS", TRANSIENT,
              Explanation("The phone was busy receiving another message.", TRIED_AGAIN)),
    ErrorCode(32, 1, "EC_SM_DELIVERY_FAILURE", TRANSIENT,
              Explanation("The phone did not accept the message and gave no cause.", TRIED_AGAIN)),
    ErrorCode(33, 1, "EC_MESSAGE_WAITING_LIST_FULL", TRANSIENT,
              Explanation("Too many messages already wait for this phone at its operator.", TRIED_AGAIN)),
    ErrorCode(34, 1, "EC_SYSTEM_FAILURE", TRANSIENT, NETWORK_FAULT),
    ErrorCode(35, 1, "EC_DATA_MISSING", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(36, 1, "EC_UNEXPECTED_DATA_VALUE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(255, 1, "EC_UNKNOWN_ERROR", TRANSIENT,
              Explanation("The operator failed to deliver and gave no cause.", TRIED_AGAIN)),
    ErrorCode(256, 1, "EC_SM_DF_MEMORYCAPACITYEXCEEDED", TRANSIENT,
              Explanation("The phone's message memory is full.", TRIED_AGAIN)),
    ErrorCode(257, 1, "EC_SM_DF_EQUIPMENTPROTOCOLERROR", TRANSIENT, PHONE_FAULT),
    ErrorCode(258, 1, "EC_SM_DF_EQUIPMENTNOTSM_EQUIPPED", TRANSIENT, PHONE_FAULT),
    ErrorCode(259, 1, "EC_SM_DF_UNKNOWNSERVICECENTRE", TRANSIENT, PHONE_FAULT),
    ErrorCode(260, 1, "EC_SM_DF_SC_CONGESTION", TRANSIENT,
              Explanation("The operator's message centre was congested.", TRIED_AGAIN)),
    ErrorCode(261, 1, "EC_SM_DF_INVALIDSME_ADDRESS", TRANSIENT, PHONE_FAULT),
    ErrorCode(262, 1, "EC_SM_DF_SUBSCRIBERNOTSC_SUBSCRIBER", TRANSIENT, PHONE_FAULT),
    ErrorCode(500, 1, "EC_PROVIDER_GENERAL_ERROR", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(502, 1, "EC_NO_RESPONSE", TRANSIENT,
              Explanation("The operator was given the message and never answered.", TRIED_AGAIN)),
    ErrorCode(503, 1, "EC_SERVICE_COMPLETION_FAILURE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(504, 1, "EC_UNEXPECTED_RESPONSE_FROM_PEER", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(507, 1, "EC_MISTYPED_PARAMETER", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(508, 1, "EC_NOT_SUPPORTED_SERVICE", TRANSIENT, NETWORKS_DISAGREE),
    ErrorCode(509, 1, "EC_DUPLICATED_INVOKE_ID", TRANSIENT, NETWORKS_DISAGREE),
    # No short code reaches this operator's customers: its policy, not the recipient's wish.
    ErrorCode(565, 1, "EC_CANNOT_RECEIVE_SC", PERMANENT,
              Explanation("The recipient's operator takes no messages from short codes.",
                          "Name a long number as the surface's sender, then replay.")),
    ErrorCode(573, 1, "EC_SC_BLOCKED_BY_END_USER", PERMANENT, RECIPIENT_BLOCKS_SENDER, Block.ALL),
    ErrorCode(581, 1, "EC_USER_OUT_OF_CREDIT", TRANSIENT,
              Explanation("The recipient's prepaid line is out of credit.", TRIED_AGAIN)),
    # Called temporary, yet flagged permanent: the flag is kept, Infobip knows its own retries.
    ErrorCode(628, 1, "EC_TEMPORARY_HANDSET_FAILURE", PERMANENT,
              Explanation("The phone failed, and Infobip calls that final for this message.",
                          "Replay it later if it still matters.")),
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
              Explanation("The networks found no way to this one number.",
                          "It is tried again; check the number if it keeps failing.")),
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
              Explanation("Infobip does not accept this type of request.",
                          "Check the surface's channel and sender, then replay.")),
    ErrorCode(351, 2, "EC_INVALID_DESTINATION_ADDRESS", TRANSIENT,
              Explanation("The operator called the number invalid, but not for good.",
                          "It is tried again; check its country code and length.")),
    ErrorCode(352, 2, "EC_INVALID_REQUEST_DESTINATION", PERMANENT, NUMBER_INVALID),
    ErrorCode(355, 2, "EC_MSG_TEXT_TOO_LONG", PERMANENT,
              Explanation("Infobip or the operator refused the text as too long.", "Shorten it and send again.")),
    ErrorCode(368, 2, "EC_INVALID_SOURCE_ADDRESS", PERMANENT, SENDER_REFUSED),
    ErrorCode(433, 2, "EC_ACCOUNT_ACCESS_DENIED", PERMANENT,
              Explanation("The Infobip account is not allowed to send this.",
                          "Ask Infobip to enable it, then replay.")),
    ErrorCode(541, 2, "EC_LIMIT_REACHED", TRANSIENT,
              Explanation("The campaign went over its rate at a US operator.",
                          "It is tried again; lower the rate of the credential.")),
    ErrorCode(542, 2, "EC_QUOTA_REACHED", TRANSIENT,
              Explanation("The brand's daily quota at a US operator is used up.", TRIED_AGAIN)),
    ErrorCode(572, 2, "EC_CAMPAIGNID_NOT_PROVISIONED", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(577, 2, "EC_ACC_NOT_PROVISIONED_TO_SMS_DEMO_SC", PERMANENT, DEMO_ONLY),
    ErrorCode(578, 2, "EC_EXCEEDED_THE_TIME_LIMIT_OF_SMS_DEMO", PERMANENT, DEMO_ONLY),
    ErrorCode(579, 2, "EC_DEST_ADDRESS_NOT_IN_SMS_DEMO", PERMANENT, DEMO_ONLY),
    ErrorCode(580, 2, "EC_EXCEEDED_THE_MAX_NUMBER", PERMANENT, DEMO_ONLY),
    ErrorCode(594, 2, "EC_INVALID_GLOBAL_CAMPAIGN_ID", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(597, 2, "EC_ACC_HAS_NO_ADRESS_FOR_DESR", PERMANENT,
              Explanation("No sender on the Infobip account reaches this destination.",
                          "Add one with Infobip, then replay.")),
    ErrorCode(598, 2, "EC_INTERACTION_NOT_SUPPORTED", PERMANENT,
              Explanation("Two-way messaging does not exist for this destination.", "Use a one-way sender.")),
    ErrorCode(601, 2, "EC_ACC_NOT_2_WAY", PERMANENT,
              Explanation("The Infobip account lacks two-way SMS.",
                          "Ask Infobip to enable it, or use a one-way sender.")),
    # The name speaks of content; Infobip's text says that the recipient sent STOP.
    ErrorCode(603, 2, "EC_CONTENT_BLOCKED", PERMANENT,
              Explanation("The recipient has opted out by sending STOP.",
                          "Do not send to this number again without a new consent."), Block.ALL),
    # By Infobip's text the campaign's block list holds content, so it says nothing of the recipient.
    ErrorCode(604, 2, "EC_BLOCKED_BY_CAMPAIGN_BLACKLIST", PERMANENT,
              Explanation("The campaign's block list stopped the content.",
                          "Change the text, or ask Infobip about the list.")),
    ErrorCode(607, 2, "EC_REJECTED_SPAM_BY_OPERATOR", PERMANENT,
              Explanation("The operator took the message for spam.",
                          "Change the text, or ask Infobip to have it allowed.")),
    ErrorCode(608, 2, "EC_SIGNALS_BLOCKED", TRANSIENT,
              Explanation("Infobip's anti-fraud check (Signals) found the number too risky.", TRIED_AGAIN)),
    ErrorCode(609, 2, "EC_SIGNALS_HARD_LIMIT_REACHED", PERMANENT,
              Explanation("Infobip's anti-fraud cap (Signals) for the day is reached.",
                          "Replay after midnight UTC, when the cap begins anew.")),
    # The SIM, on its operator's list for whatever reason; a consent fact is kept by number and would outlive the SIM.
    ErrorCode(2049, 2, "EC_IMSI_BLACKLISTED", PERMANENT,
              Explanation("The recipient's SIM card is on the operator's block list.",
                          "Use another number or another channel.")),
    ErrorCode(2052, 2, "EC_BLACKLISTED_DESTINATIONADDRESS", PERMANENT,
              Explanation("The number is on the operator's block list or the account's own.",
                          "Do not send to this number again, unless it is taken off the list."), Block.ALL),
    ErrorCode(2053, 2, "EC_BLACKLISTED_SENDERADDRESS", PERMANENT, SENDER_BLOCKED),
    # The line is gone, which is not a wish of its owner; the number's next owner may opt in.
    ErrorCode(3041, 2, "EC_DEACTIVATED_LIST", PERMANENT,
              Explanation("Infobip lists the number as deactivated.",
                          "Take it off the list: it may be given to somebody else.")),
    ErrorCode(4096, 2, "EC_INVALID_PDU_FORMAT", PERMANENT,
              Explanation("The message was malformed on its way to the operator.",
                          "Ask Infobip, giving the message ID.")),
    # Flagged permanent, but it is the account and not the message, as with status 12: nothing is burnt, the lanes wait.
    ErrorCode(4099, 2, "EC_MONTHLY_LIMIT_REACHED", ACCOUNT,
              Explanation("The Infobip account has used up its monthly limit.",
                          "Raise the limit; its messages wait until then.")),
    # Expiry comes with status 15, which decides alone; with any other status it was cancelled, so it is not sent again.
    ErrorCode(4100, 2, "EC_MESSAGE_CANCELED", PERMANENT,
              Explanation("The message was cancelled at Infobip before it went on.",
                          "Replay it if that was not intended.")),
    # Flagged permanent for the message as submitted; a new attempt carries a new validity if time is left.
    ErrorCode(4101, 2, "EC_VALIDITY_EXPIRED", EXPIRED, VALIDITY_OVER),
    ErrorCode(4102, 2, "EC_NOTSUBMITTEDTOSMPPCHANNEL", PERMANENT, NO_SMPP_LINK),
    # Flagged permanent, but the filter counts by the hour, as with status 20: later the same message passes.
    ErrorCode(4103, 2, "EC_DESTINATION_FLOODING", TRANSIENT, FLOOD_FILTER),
    ErrorCode(4104, 2, "EC_DESTINATION_TXT_FLOODING", TRANSIENT, FLOOD_FILTER),
    ErrorCode(4202, 2, "EC_10DLC_LIMIT_REACHED", PERMANENT,
              Explanation("The 10DLC limit at a US operator is reached.",
                          "Ask Infobip to raise it, or replay when it has reset.")),

    # Operator errors
    ErrorCode(10, 3, "EC_BEARER_SERVICE_NOT_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(15, 3, "EC_CUG_REJECT", TRANSIENT,
              Explanation("The recipient's line takes messages only from a closed group.", TRIED_AGAIN)),
    ErrorCode(20, 3, "EC_SS_INCOMPATIBILITY", TRANSIENT,
              Explanation("A service on the recipient's line got in the way.", TRIED_AGAIN)),
    ErrorCode(24, 3, "EC_NO_RADIO_RESOURCE_AVAILABLE", TRANSIENT,
              Explanation("The radio network near the phone was full.", TRIED_AGAIN)),
    # Congestion passes, yet it is flagged permanent: kept, since the operator has refused this message.
    ErrorCode(51, 3, "EC_RESOURCE_LIMITATION", PERMANENT,
              Explanation("The operator refused the message because its network was congested.", "Replay it later.")),
    ErrorCode(71, 3, "EC_UNKNOWN_ALPHABET", TRANSIENT,
              Explanation("The operator did not know the message's alphabet.",
                          "It is tried again; a text in plainer letters may help.")),
    ErrorCode(345, 3, "EC_OPERATOR_NOT_FOUND", PERMANENT,
              Explanation("No operator was found for this number.", "Check the number before sending again.")),
    ErrorCode(375, 3, "EC_SOURCE_ADDRESS_IS_BLOCKED", PERMANENT, SENDER_BLOCKED),
    ErrorCode(488, 3, "EC_TF_NUMBER_NOT_VERIFIED", PERMANENT,
              Explanation("The toll-free sender is not verified or over its limit.",
                          "Have Infobip verify it, then replay.")),
    ErrorCode(501, 3, "EC_INVALID_RESPONSE_RECEIVED", TRANSIENT,
              Explanation("The operator's answer could not be read.", TRIED_AGAIN)),
    # The operator's decision about its customer (560, 566) is not the customer's own: no consent fact.
    ErrorCode(560, 3, "EC_SC_BLOCKED_FOR_END_USER", PERMANENT,
              Explanation("The operator blocks this short code for the recipient.",
                          "Send to this number from another sender.")),
    ErrorCode(561, 3, "EC_CONTENT_BLOCKED_BY_OPERATOR", PERMANENT, CONTENT_REFUSED),
    ErrorCode(562, 3, "EC_SC_NOT_PROVISIONED", PERMANENT, SENDER_REFUSED),
    ErrorCode(563, 3, "EC_SC_EXPIRED", PERMANENT,
              Explanation("The short code's registration with the operator has run out.",
                          "Renew it with Infobip, then replay.")),
    ErrorCode(564, 3, "EC_SC_BLOCKED", PERMANENT, SENDER_BLOCKED),
    ErrorCode(566, 3, "EC_DESTINATION_BLOCKED_BY_OPERATOR", PERMANENT,
              Explanation("The operator lets no short code send to this number.",
                          "Send to this number from a long number.")),
    ErrorCode(568, 3, "EC_DESTINATION_NOT_SMS_PROVISIONED", PERMANENT, NO_SMS_SERVICE),
    ErrorCode(569, 3, "EC_DEST_ADDRESS_SUSPENDED", PERMANENT, LINE_STOPPED),
    ErrorCode(571, 3, "EC_CAMPAIGN_ID_REJECTED", TRANSIENT,
              Explanation("A US operator refused the campaign ID, but not for good.",
                          "It is tried again; check the campaign.")),
    ErrorCode(574, 3, "EC_BLOCKED_NEW_SUBSCRIPTIONS_FOR_SC", PERMANENT,
              Explanation("The operator takes no new subscribers for this short code.",
                          "Ask Infobip, or use another sender.")),
    # As status 6: another channel may be set up there.
    ErrorCode(592, 3, "EC_ACCOUNT_NOT_PROVISIONED_FOR_CHANNEL", PERMANENT,
              Explanation("The Infobip account is not set up for the recipient's network.",
                          "Ask Infobip to add it, then replay."), refuses_mms=True),
    # 630 and 631 read like passing trouble, yet are flagged permanent: kept.
    ErrorCode(630, 3, "EC_DEST_OVERLOADED", PERMANENT,
              Explanation("The recipient's network was overloaded and gave the message up.", "Replay it later.")),
    ErrorCode(631, 3, "EC_MOBILE_OPERATOR_NETWORK_ERROR", PERMANENT,
              Explanation("The operator's network failed and gave the message up.", "Replay it later.")),
    ErrorCode(632, 3, "EC_SMS_REJECTED_BY_MOBILE_OPERATOR", PERMANENT,
              Explanation("The operator refused the message for this number.",
                          "Ask Infobip for the reason before sending again.")),
    ErrorCode(633, 3, "EC_UNKNOWN_MOBILE_OPERATOR", PERMANENT, OPERATOR_FAULT),
    ErrorCode(810, 3, "EC_FAILED_MESSAGE_DELIVERY", PERMANENT, OPERATOR_FAULT),
    # As 4101.
    ErrorCode(811, 3, "EC_MESSAGE_EXPIRED", EXPIRED, VALIDITY_OVER),
    ErrorCode(815, 3, "EC_MESSAGE_SUBMITTED_NOT_ACKED", PERMANENT,
              Explanation("The operator took the message but never confirmed it: it may have arrived.",
                          "Ask Infobip before sending again.")),
    ErrorCode(2048, 3, "EC_TIME_OUT", TRANSIENT,
              Explanation("The operator did not answer in time.", TRIED_AGAIN)),
    ErrorCode(2050, 3, "EC_DEST_ADDRESS_BLACKLISTED", PERMANENT,
              Explanation("The number is on the operator's do-not-disturb register, which bars marketing.",
                          "Send no marketing to this number."), Block.MARKETING),
    # Named for a bad switch address, described as block-listed text: either way not the recipient's wish.
    ErrorCode(2051, 3, "EC_INVALIDMSCADDRESS", TRANSIENT,
              Explanation("The text or a network address was refused; Infobip does not say which.", TRIED_AGAIN)),
    ErrorCode(4097, 3, "EC_NOTSUBMITTEDTOGMSC", TRANSIENT,
              Explanation("Infobip failed before any operator had the message.", TRIED_AGAIN)),
    # Flagged transient; the validity that ran out may be ours, so time decides, as with status 15.
    ErrorCode(4098, 3, "EC_VP_EXPIRED", EXPIRED, VALIDITY_OVER),
    # The same code is published under two groups.
    ErrorCode(4102, 3, "EC_NOTSUBMITTEDTOSMPPCHANNEL", PERMANENT, NO_SMPP_LINK),
    ErrorCode(5492, 3, "EC_DUPLICATE_MESSAGE", PERMANENT,
              Explanation("The operator says that it already had the same message for this number.",
                          "Do not send it again as it is.")),

    # MMS
    ErrorCode(15000, None, "EC_MMS_GENERAL_ERROR", TRANSIENT,
              Explanation("The MMS provider failed and gave no cause.", TRIED_AGAIN)),
    ErrorCode(15002, None, "EC_SYSTEM_ERROR", PERMANENT,
              Explanation("The MMS system failed, and Infobip calls that final for this message.", "Replay it later.")),
    ErrorCode(15003, None, "EC_MSISDN_NOT_REGISTERED", PERMANENT,
              Explanation("The operator has no such number registered.", "Check the number before sending again.")),
    ErrorCode(15004, None, "EC_DEFERRED", TRANSIENT,
              Explanation("The phone fetched only the MMS notice, not the content.", TRIED_AGAIN)),
    ErrorCode(15005, None, "EC_MMS_FORWARDED", PERMANENT,
              Explanation("The recipient passed the MMS on unopened.",
                          "Nothing to do: there is nothing to send again.")),
    # As 4101.
    ErrorCode(15006, None, "EC_VALIDITY_EXPIRED", EXPIRED, VALIDITY_OVER),
    # The phone was told of it and cannot fetch it: a text needs no fetching.
    ErrorCode(15007, None, "EC_CONTENT_CANNOT_BE_DOWNLOADED_ON_HANDSET", PERMANENT,
              Explanation("The phone cannot download the MMS content.",
                          "Send smaller or simpler media, or an SMS."), refuses_mms=True),
    ErrorCode(15008, None, "EC_PROVIDER_DELIVERY_ERROR", PERMANENT,
              Explanation("The MMS provider failed while delivering, for good.", "Ask Infobip before sending again.")),
    ErrorCode(15009, None, "EC_RECIPIENT_NOT_FOUND", PERMANENT,
              Explanation("The operator found no such recipient.", "Check the number before sending again.")),
    ErrorCode(15010, None, "EC_SOURCE_ADDRESS_NOT_REGISTERED", PERMANENT, SENDER_REFUSED),
    # The operator's block and for MMS only, as 560: no consent fact.
    ErrorCode(15011, None, "EC_RECIPIENT_BLOCKED_BY_OPERATOR", PERMANENT,
              Explanation("The operator blocks MMS for this recipient.", "Send an SMS instead."), refuses_mms=True),
    ErrorCode(15012, None, "EC_DRM_NOT_SUPPORTED", PERMANENT,
              Explanation("The phone cannot take copy-protected media.", "Send media without protection.")),
    ErrorCode(15013, None, "EC_MMS_CONTENT_BLOCKED_BY_OPERATOR", PERMANENT, CONTENT_REFUSED),
    ErrorCode(15014, None, "EC_MMS_INVALID_SUBJECT", PERMANENT, MMS_SUBJECT),
    ErrorCode(15015, None, "EC_MMS_SC_BLOCKED_BY_END_USER", PERMANENT, RECIPIENT_BLOCKS_SENDER, Block.ALL),
    ErrorCode(15016, None, "EC_UNKNOWN_CARRIER", PERMANENT,
              Explanation("Infobip could not find out the number's operator.",
                          "Check the number before sending again.")),
    ErrorCode(15017, None, "EC_RECIPIENT_DEACTIVATED", PERMANENT, LINE_STOPPED),
    ErrorCode(15018, None, "EC_RECIPIENT_SUSPENDED", PERMANENT, LINE_STOPPED),
    ErrorCode(15019, None, "EC_HANDSET_DOES_NOT_SUPPORT_MMS", PERMANENT,
              Explanation("The recipient's phone cannot receive MMS.", "Send an SMS instead."), refuses_mms=True),
    ErrorCode(15020, None, "EC_CAMPAIGN_BLOCKED_BY_OPERATOR", PERMANENT,
              Explanation("The operator has blocked the campaign.", "Settle it through Infobip, then replay.")),
    ErrorCode(15021, None, "EC_CAMPAIGN_INFO_NOT_PROVISIONED", PERMANENT, CAMPAIGN_NOT_READY),
    ErrorCode(15022, None, "EC_URL_ATTACHMENT_TOO_LARGE", PERMANENT,
              Explanation("The file behind the link is too large for Infobip to fetch.",
                          "Make it smaller and send again.")),
    ErrorCode(15023, None, "EC_FAILED_TO_ROUTE_MESSAGE", PERMANENT,
              Explanation("Infobip has no route for this MMS.",
                          "Send an SMS instead, or ask Infobip for a route."), refuses_mms=True),
    ErrorCode(15024, None, "EC_REMOTE_CONTENT_FAILURE", PERMANENT, MMS_CONTENT_UNREADABLE),
    ErrorCode(15025, None, "EC_REMOTE_CONTENT_INTERNAL_FAILURE", PERMANENT, MMS_CONTENT_UNREADABLE),
    ErrorCode(15026, None, "EC_TOO_BIG_CONTENT", PERMANENT,
              Explanation("The MMS is larger than the operator allows.",
                          "Keep the whole message below 300 KB and send again.")),
    ErrorCode(15200, None, "EC_INVALID_MSG_TYPE", PERMANENT,
              Explanation("Infobip refused the type of the MMS as not valid.", "Check its segments and send again.")),
    ErrorCode(15201, None, "EC_MMS_INVALID_DESTINATION_ADDRESS", PERMANENT, NUMBER_INVALID),
    ErrorCode(15202, None, "EC_MMS_INVALID_SOURCE_ADDRESS", PERMANENT, SENDER_REFUSED),
    ErrorCode(15203, None, "EC_INVALID_SUBJECT", PERMANENT, MMS_SUBJECT),

    # India DLT, no flag published. TRANSIENT is what the same message can pass later with nobody doing anything:
    # 4107 and 4141, the check itself failed; 4138, the hour was wrong and will be right; 4144, a part was lost on its
    # way. Every other code names a registration, an ID, a text or a chain that stays wrong until a person changes it.
    # That holds for 4132 too: among the operators' codes behind these it is one of the template faults, and a check
    # that fails has its own (4141).
    ErrorCode(4106, None, "EC_BLOCKED_BY_DLT", PERMANENT,
              Explanation("The DLT registry blocked the message without saying which rule it broke.",
                          "Compare sender, text and IDs with the DLT portal; where they agree, ask Infobip.")),
    ErrorCode(4107, None, "EC_DLT_SCRUBBING_TIMEOUT", TRANSIENT,
              Explanation("The operator's DLT check did not answer in time.", TRIED_AGAIN)),
    ErrorCode(4108, None, "EC_SENDER_BLOCKED_BY_DLT", PERMANENT,
              Explanation("The DLT registry blocks this sender.",
                          "Have it unblocked on the DLT portal, or name another sender on the surface; then replay.")),
    ErrorCode(4109, None, "EC_TELEMARKETER_BLOCKED_BY_DLT", PERMANENT,
              Explanation("The DLT registry blocks the telemarketer.", DLT_ASK_INFOBIP)),
    ErrorCode(4110, None, "EC_ENTITY_BLOCKED_BY_DLT", PERMANENT,
              Explanation("The DLT registry blocks the principal entity.", DLT_UNBLOCK)),
    ErrorCode(4111, None, "EC_TEMPLATE_BLOCKED_BY_DLT", PERMANENT,
              Explanation("The DLT registry blocks the template or the text under it.",
                          "Check both on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4112, None, "EC_ENTITY_NOT_FOUND", PERMANENT,
              Explanation("The DLT registry did not find the principal entity.", DLT_ENTITY_ID)),
    ErrorCode(4113, None, "EC_ENTITY_NOT_REGISTERED", PERMANENT,
              Explanation("The principal entity is not registered with the operator's DLT registry.",
                          "Register it on the DLT portal, or correct principal_entity_id and name it in the replay.")),
    ErrorCode(4114, None, "EC_ENTITY_INACTIVE", PERMANENT,
              Explanation("The DLT registry holds the principal entity as inactive.",
                          "Have it activated by the operator's DLT desk, then replay.")),
    ErrorCode(4115, None, "EC_ENTITY_BLACKLISTED", PERMANENT,
              Explanation("The DLT registry has the principal entity on its block list.", DLT_UNBLOCK)),
    ErrorCode(4116, None, "EC_INVALID_ENTITY_ID", PERMANENT,
              Explanation("The DLT registry found the principal entity ID malformed or unknown.", DLT_ENTITY_ID)),
    ErrorCode(4117, None, "EC_ENTITY_ID_NOT_ALLOWED_FOR_TM", PERMANENT,
              Explanation("The DLT registry does not let this telemarketer send for the principal entity.", DLT_CHAIN)),
    ErrorCode(4118, None, "EC_TELEMARKETER_NOT_REGISTERED", PERMANENT,
              Explanation("The telemarketer is not registered with the operator's DLT registry.", DLT_ASK_INFOBIP)),
    ErrorCode(4119, None, "EC_TELEMARKETER_INACTIVE", PERMANENT,
              Explanation("The DLT registry holds the telemarketer as inactive.", DLT_ASK_INFOBIP)),
    ErrorCode(4120, None, "EC_TELEMARKETER_BLACKLISTED", PERMANENT,
              Explanation("The DLT registry has the telemarketer on its block list.", DLT_ASK_INFOBIP)),
    ErrorCode(4121, None, "EC_HEADER_NOT_FOUND", PERMANENT,
              Explanation("The DLT registry does not know the header, which is the sender.",
                          "Correct the surface's sender, case too, or register it on the DLT portal; then replay.")),
    ErrorCode(4122, None, "EC_HEADER_INACTIVE", PERMANENT,
              Explanation("The DLT registry holds the header as inactive.",
                          "Activate it on the DLT portal, or name another sender on the surface; then replay.")),
    ErrorCode(4123, None, "EC_HEADER_BLACKLISTED", PERMANENT,
              Explanation("The DLT registry has the header on its block list.",
                          "Ask the operator's DLT desk to take it off, or name another sender; then replay.")),
    ErrorCode(4124, None, "EC_PEID_NOT_MATCHED_WITH_HEADER", PERMANENT,
              Explanation("The DLT registry holds the header for another principal entity.",
                          "Correct the surface's sender, or correct principal_entity_id and name it in the replay.")),
    ErrorCode(4125, None, "EC_HEADER_IN_FREEPOOL", PERMANENT,
              Explanation("The header lies in the DLT registry's free pool, where nobody owns it.",
                          "Register it for your entity on the DLT portal, then replay.")),
    ErrorCode(4126, None, "EC_TEMPLATE_NOT_FOUND", PERMANENT,
              Explanation("The DLT registry did not find the template.", DLT_TEMPLATE_ID)),
    ErrorCode(4127, None, "EC_TEMPLATE_INACTIVE", PERMANENT,
              Explanation("The DLT registry holds the template as inactive.",
                          "Activate it on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4128, None, "EC_TEMPLATE_BLACKLISTED", PERMANENT,
              Explanation("The DLT registry has the template on its block list.",
                          "Ask the operator's DLT desk to take it off, or replay with another content_template_id.")),
    ErrorCode(4129, None, "EC_TEMPLATE_NOT_MATCHED", PERMANENT,
              Explanation("The text does not match its template in the DLT registry.",
                          "Send the text as the template has it, or replay with this text's content_template_id.")),
    ErrorCode(4130, None, "EC_HEADER_NOT_REGISTERED_FOR_TEMPLATE", PERMANENT,
              Explanation("The DLT registry does not link the header to this template.",
                          "Link the two on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4131, None, "EC_TEMPLATE_VARIABLE_EXCEEDED_MAX_LENGTH", PERMANENT,
              Explanation("The DLT registry found a value too long for its place in the template.",
                          "Shorten the value, or register a template with more variables; then send again.")),
    ErrorCode(4132, None, "EC_ERROR_IDENTIFYING_TEMPLATE", PERMANENT,
              Explanation("The DLT registry could not tell which template the text follows.", DLT_TEMPLATE_ID)),
    ErrorCode(4133, None, "EC_INVALID_TEMPLATE_ID", PERMANENT,
              Explanation("The DLT registry found the content template ID malformed or unknown.", DLT_TEMPLATE_ID)),
    ErrorCode(4134, None, "EC_TEMPLATE_NOT_REGISTERED_TO_ENTITY", PERMANENT,
              Explanation("The DLT registry holds the template for another principal entity.",
                          "Correct content_template_id or principal_entity_id, and name it in the replay.")),
    ErrorCode(4135, None, "EC_PROMOTIONAL_TEMPLATE_USED_ON_OTHERS_HEADER", PERMANENT,
              Explanation("The DLT registry refused a promotional template under a header that is not promotional.",
                          "Name a promotional sender on the surface, or replay with another content_template_id.")),
    ErrorCode(4136, None, "EC_INVALID_TEMPLATE_TYPE", PERMANENT,
              Explanation("The DLT registry found that the template's type is not valid for this message.",
                          "Correct the type on the DLT portal, or replay with another content_template_id.")),
    # The DLT platform keeps preferences by number and at the recipient's own word, like a DND register: a consent fact,
    # and as there of promotional traffic alone.
    ErrorCode(4137, None, "EC_PREFERENCE_NOT_MATCHED", PERMANENT,
              Explanation("The recipient's preferences in the DLT registry bar marketing like this message.",
                          "Send no marketing to this number."), Block.MARKETING),
    # The window opens again at 10:00 India time, so a later attempt of the same message passes.
    ErrorCode(4138, None, "EC_INVALID_PROMO_TIME", TRANSIENT,
              Explanation("The DLT registry refused a promotional message in closed hours: 21:00 to 10:00 India time.",
                          "Nothing to do: it is tried again; a sending window that begins at 10:00 avoids it.")),
    ErrorCode(4139, None, "EC_SE_CATEGORY_BLOCK", PERMANENT,
              Explanation("The DLT registry blocks messages of this template's category.",
                          "Correct the category on the DLT portal, or replay with another content_template_id.")),
    # A missing consent record is not an opt-out, and one wrong consent template of ours would opt out a whole list.
    ErrorCode(4140, None, "EC_CONSENT_FAILED", PERMANENT,
              Explanation("The DLT registry holds no valid consent of the recipient for this message.",
                          "Check the consent template on the DLT portal and the recipient's consent, then replay.")),
    ErrorCode(4141, None, "EC_SCRUBBING_FAILED", TRANSIENT,
              Explanation("The operator's DLT check itself failed.", TRIED_AGAIN)),
    ErrorCode(4142, None, "EC_TLV_PEID_NOT_FOUND", PERMANENT,
              Explanation("The message reached the DLT registry without a principal entity ID.",
                          "Set principal_entity_id on the surface or the credential, and name it in the replay.")),
    ErrorCode(4143, None, "EC_TLV_TMPID_NOT_FOUND", PERMANENT,
              Explanation("The message reached the DLT registry without a content template ID.",
                          "Set content_template_id on the surface or the batch, and name it in the replay.")),
    ErrorCode(4144, None, "EC_CONTENT_MULTIPART_INCOMPLETE_BY_DLT", TRANSIENT,
              Explanation("A part of a long message was lost before the DLT registry saw it.", TRIED_AGAIN)),
    ErrorCode(4146, None, "EC_HEADER_SUSPENDED_DUE_TO_VALIDITY", PERMANENT,
              Explanation("The DLT registry has suspended the header: its registration has run out.",
                          "Renew it on the DLT portal, or name another sender on the surface; then replay.")),
    ErrorCode(4147, None, "EC_HEADER_SUSPENDED_DUE_TO_USAGE", PERMANENT,
              Explanation("The DLT registry has suspended the header because of how it was used.",
                          "Reactivate it on the DLT portal, or name another sender on the surface; then replay.")),
    ErrorCode(4148, None, "EC_HEADER_SUSPENDED_DUE_TO_CUSTOMER", PERMANENT,
              Explanation("The DLT registry has suspended the header as its owner asked.",
                          "Reactivate it on the DLT portal, or name another sender on the surface; then replay.")),
    ErrorCode(4149, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_VALIDITY", PERMANENT,
              Explanation("The DLT registry has suspended the template: its registration has run out.",
                          "Renew it on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4150, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_USAGE", PERMANENT,
              Explanation("The DLT registry has suspended the template because of how it was used.",
                          "Reactivate it on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4151, None, "EC_TEMPLATE_SUSPENDED_DUE_TO_CUSTOMER", PERMANENT,
              Explanation("The DLT registry has suspended the template as its owner asked.",
                          "Reactivate it on the DLT portal, or replay with another content_template_id.")),
    ErrorCode(4153, None, "EC_CTA_NOT_WHITELISTED", PERMANENT,
              Explanation("A link or phone number in the text is not on the DLT registry's allow list.",
                          "Register it on the DLT portal and replay, or send again without it.")),
    ErrorCode(4154, None, "EC_PE_TM_HASH_NOT_RECEIVED", PERMANENT,
              Explanation("The message reached the DLT registry without its PE-TM chain.", DLT_CHAIN)),
    ErrorCode(4155, None, "EC_PE_TM_HASH_NOT_REGISTERED", PERMANENT,
              Explanation("The DLT registry does not know the PE-TM chain for this principal entity.", DLT_CHAIN)),
    ErrorCode(4156, None, "EC_PE_TM_HASH_INACTIVE", PERMANENT,
              Explanation("The DLT registry holds a telemarketer in the PE-TM chain as inactive.", DLT_CHAIN)),
    ErrorCode(4157, None, "EC_PE_TM_HASH_BLACKLISTED", PERMANENT,
              Explanation("The DLT registry has the PE-TM chain on its block list.", DLT_CHAIN)),
    ErrorCode(4158, None, "EC_PE_TM_HASH_SUSPENDED", PERMANENT,
              Explanation("The DLT registry has suspended the PE-TM chain as its owner asked.", DLT_CHAIN)),
)
# fmt: on
