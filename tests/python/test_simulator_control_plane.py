"""The simulator's control plane as boto3, a client that we did not write, sees it."""

import datetime
import unittest

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from simulator import ACCOUNT, Simulator

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:feedback"
ARCHIVE = f"arn:aws:ses:us-east-1:{ACCOUNT}:mailmanager-archive/a-{'a1' * 12}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/control"


def sns(*events, topic=TOPIC):
    return {"Enabled": True, "MatchingEventTypes": list(events), "SnsDestination": {"TopicArn": topic}}


class ControlPlane(unittest.TestCase):
    """One simulator without a throttle, anew before each test."""

    @classmethod
    def setUpClass(cls):
        cls.simulator = Simulator(
            "--calls-per-second", "none", "--identity", "example.com", "--role", f"{ROLE}=secret-id"
        )
        cls.ses = cls.simulator.client("sesv2")

    @classmethod
    def tearDownClass(cls):
        code = cls.simulator.close()
        assert code == 0, f"the simulator ended with {code} on SIGTERM"

    def setUp(self):
        self.simulator.admin("POST", "reset")
        self.simulator.admin("PUT", "limits", {"callsPerSecond": None})

    def refused(self, code, call, *, status=400, text="", **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code)
        self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertIn(text, error["Error"]["Message"])
        return error

    def create_set(self, name="team", **options):
        self.ses.create_configuration_set(ConfigurationSetName=name, **options)

    def set(self, name="team"):
        return self.ses.get_configuration_set(ConfigurationSetName=name)

    # The account

    def test_the_account_shows_quota_and_enforcement_and_its_switches_are_set(self):
        account = self.ses.get_account()
        self.assertEqual(account["EnforcementStatus"], "HEALTHY")
        self.assertTrue(account["ProductionAccessEnabled"])
        self.assertGreater(account["SendQuota"]["Max24HourSend"], account["SendQuota"]["SentLast24Hours"])
        self.assertEqual(account["SuppressionAttributes"]["SuppressedReasons"], ["BOUNCE", "COMPLAINT"])
        self.ses.put_account_sending_attributes(SendingEnabled=False)
        self.ses.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
        account = self.ses.get_account()
        self.assertFalse(account["SendingEnabled"])
        self.assertEqual(account["SuppressionAttributes"]["SuppressedReasons"], ["COMPLAINT"])
        self.simulator.admin("PATCH", "settings", {"enforcement": "SHUTDOWN", "productionAccess": False})
        account = self.ses.get_account()
        self.assertEqual((account["EnforcementStatus"], account["ProductionAccessEnabled"]), ("SHUTDOWN", False))

    # Configuration sets

    def test_a_set_is_created_with_every_option_and_read_back(self):
        options = {
            "TrackingOptions": {"CustomRedirectDomain": "links.example.com", "HttpsPolicy": "REQUIRE"},
            "DeliveryOptions": {"TlsPolicy": "REQUIRE", "SendingPoolName": "pool", "MaxDeliverySeconds": 3600},
            "ReputationOptions": {"ReputationMetricsEnabled": True},
            "SendingOptions": {"SendingEnabled": False},
            "SuppressionOptions": {
                "SuppressedReasons": ["BOUNCE"],
                "SuppressionScope": "TENANT",
                "ValidationOptions": {
                    "ConditionThreshold": {
                        "ConditionThresholdEnabled": "ENABLED",
                        "OverallConfidenceThreshold": {"ConfidenceVerdictThreshold": "MANAGED"},
                    }
                },
            },
            "VdmOptions": {
                "DashboardOptions": {"EngagementMetrics": "ENABLED"},
                "GuardianOptions": {"OptimizedSharedDelivery": "DISABLED"},
            },
            "ArchivingOptions": {"ArchiveArn": ARCHIVE},
            "MessageSecurityOptions": {"SigningScheme": {"SmimeScheme": {"SignatureFormat": "DETACHED"}}},
        }
        self.create_set(Tags=[{"Key": "cluster", "Value": "prod"}], **options)
        found = self.set()
        self.assertEqual({key: found[key] for key in options}, options)
        self.assertEqual(found["Tags"], [{"Key": "cluster", "Value": "prod"}])

    def test_each_option_is_put_by_its_own_operation(self):
        self.create_set()
        name = {"ConfigurationSetName": "team"}
        self.ses.put_configuration_set_tracking_options(CustomRedirectDomain="example.com", **name)
        self.ses.put_configuration_set_delivery_options(TlsPolicy="REQUIRE", MaxDeliverySeconds=300, **name)
        self.ses.put_configuration_set_reputation_options(ReputationMetricsEnabled=True, **name)
        self.ses.put_configuration_set_sending_options(SendingEnabled=True, **name)
        self.ses.put_configuration_set_suppression_options(SuppressedReasons=["COMPLAINT"], **name)
        vdm = {"DashboardOptions": {"EngagementMetrics": "ENABLED"}}
        self.ses.put_configuration_set_vdm_options(VdmOptions=vdm, **name)
        self.ses.put_configuration_set_archiving_options(ArchiveArn=ARCHIVE, **name)
        security = {"SigningScheme": {"DefaultScheme": {}}}
        self.ses.update_configuration_set(MessageSecurityOptions=security, **name)
        found = self.set()
        self.assertEqual(found["TrackingOptions"], {"CustomRedirectDomain": "example.com"})
        self.assertEqual(found["DeliveryOptions"], {"TlsPolicy": "REQUIRE", "MaxDeliverySeconds": 300})
        self.assertEqual(found["ReputationOptions"], {"ReputationMetricsEnabled": True})
        self.assertEqual(found["SendingOptions"], {"SendingEnabled": True})
        self.assertEqual(found["SuppressionOptions"], {"SuppressedReasons": ["COMPLAINT"]})
        self.assertEqual(found["VdmOptions"], vdm)
        self.assertEqual(found["ArchivingOptions"], {"ArchiveArn": ARCHIVE})
        self.assertEqual(found["MessageSecurityOptions"], security)

    def test_what_is_left_out_of_a_put_means_off_none_or_no_override(self):
        self.create_set()
        self.assertNotIn("SuppressionOptions", self.set())
        self.ses.put_configuration_set_sending_options(ConfigurationSetName="team")
        self.ses.put_configuration_set_suppression_options(ConfigurationSetName="team")
        found = self.set()
        self.assertFalse(found["SendingOptions"]["SendingEnabled"])
        self.assertEqual(found["SuppressionOptions"]["SuppressedReasons"], [])

    def test_what_a_set_refuses(self):
        self.create_set()
        create = self.ses.create_configuration_set
        # Without botocore's own validation, so that the refusal is the simulator's.
        unchecked = self.simulator.client("sesv2", parameter_validation=False)
        put_delivery = unchecked.put_configuration_set_delivery_options
        put_tracking = self.ses.put_configuration_set_tracking_options
        name = {"ConfigurationSetName": "team"}
        self.refused("AlreadyExistsException", create, **name)
        self.refused("BadRequestException", create, ConfigurationSetName="a b")
        self.refused("BadRequestException", put_delivery, MaxDeliverySeconds=299, text="300", **name)
        self.refused("BadRequestException", put_delivery, TlsPolicy="MAYBE", text="MAYBE", **name)
        self.refused("BadRequestException", put_tracking, CustomRedirectDomain="example.org", **name)
        self.refused("NotFoundException", self.ses.get_configuration_set, ConfigurationSetName="none", status=404)

    def test_sets_are_listed_in_pages_whose_token_is_bound_to_the_filter(self):
        for number in range(51):
            self.create_set(f"s{number}")
        first = self.ses.list_configuration_sets()
        self.assertEqual(len(first["ConfigurationSets"]), 50)
        rest = self.ses.list_configuration_sets(NextToken=first["NextToken"])
        self.assertEqual(len(set(first["ConfigurationSets"] + rest["ConfigurationSets"])), 51)
        self.assertNotIn("NextToken", rest)
        contains = {"CONFIGURATION_SET_NAME_CONTAINS": "s5"}
        self.assertEqual(self.ses.list_configuration_sets(Filter=contains)["ConfigurationSets"], ["s5", "s50"])
        list_sets = self.ses.list_configuration_sets
        self.refused("BadRequestException", list_sets, NextToken=first["NextToken"], Filter=contains)
        self.refused("BadRequestException", list_sets, PageSize=1001)

    def test_a_deleted_set_is_gone(self):
        self.create_set()
        self.ses.delete_configuration_set(ConfigurationSetName="team")
        self.refused(
            "NotFoundException", self.ses.delete_configuration_set, ConfigurationSetName="team", status=404
        )

    # Event destinations

    def test_a_destination_is_created_read_replaced_and_deleted(self):
        self.create_set()
        name = {"ConfigurationSetName": "team", "EventDestinationName": "feedback"}
        create = self.ses.create_configuration_set_event_destination
        create(EventDestination=sns("BOUNCE", "COMPLAINT"), **name)
        self.refused(
            "AlreadyExistsException",
            create,
            EventDestination=sns("BOUNCE"),
            text="An event destination with name feedback already exists for configuration set team.",
            **name,
        )
        get = self.ses.get_configuration_set_event_destinations
        found = get(ConfigurationSetName="team")["EventDestinations"]
        self.assertEqual(found, [{"Name": "feedback", **sns("BOUNCE", "COMPLAINT")}])
        bus = {"EventBusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"}
        replacement = {"MatchingEventTypes": ["SEND"], "EventBridgeDestination": bus}
        self.ses.update_configuration_set_event_destination(EventDestination=replacement, **name)
        found = get(ConfigurationSetName="team")["EventDestinations"]
        self.assertEqual(found, [{"Name": "feedback", "Enabled": False, **replacement}])
        self.ses.delete_configuration_set_event_destination(**name)
        self.assertEqual(get(ConfigurationSetName="team")["EventDestinations"], [])
        self.refused(
            "NotFoundException", self.ses.delete_configuration_set_event_destination, status=404, **name
        )

    def test_what_a_destination_refuses(self):
        self.create_set()
        bus = {"EventBusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/own"}
        for case, definition in {
            "no event": sns(),
            "two kinds": {**sns("BOUNCE"), "EventBridgeDestination": bus},
            "another bus": {"MatchingEventTypes": ["BOUNCE"], "EventBridgeDestination": bus},
            "a FIFO topic": sns("BOUNCE", topic=f"{TOPIC}.fifo"),
        }.items():
            with self.subTest(case):
                self.refused(
                    "BadRequestException",
                    self.ses.create_configuration_set_event_destination,
                    ConfigurationSetName="team",
                    EventDestinationName="d",
                    EventDestination=definition,
                )
        for number in range(10):
            self.ses.create_configuration_set_event_destination(
                ConfigurationSetName="team", EventDestinationName=f"d{number}", EventDestination=sns("BOUNCE")
            )
        self.refused(
            "LimitExceededException",
            self.ses.create_configuration_set_event_destination,
            ConfigurationSetName="team",
            EventDestinationName="more",
            EventDestination=sns("BOUNCE"),
        )

    # Tenants

    def test_a_tenant_and_its_resources(self):
        self.create_set()
        tags = [{"Key": "namespace", "Value": "shop"}]
        created = self.ses.create_tenant(TenantName="shop", Tags=tags)
        self.assertRegex(created["TenantArn"], rf"tenant/shop/{created['TenantId']}$")
        self.assertRegex(created["TenantId"], r"^tn-[0-9a-f]{30}$")
        self.assertIsInstance(created["CreatedTimestamp"], datetime.datetime)
        found = self.ses.get_tenant(TenantName="shop")["Tenant"]
        self.assertEqual((found["SendingStatus"], found["Tags"]), ("ENABLED", tags))
        self.assertEqual([t["TenantName"] for t in self.ses.list_tenants()["Tenants"]], ["shop"])

        set_arn = self.simulator.arn("configuration-set/team")
        identity_arn = self.simulator.arn("identity/example.com")
        for arn in (set_arn, identity_arn):
            self.ses.create_tenant_resource_association(TenantName="shop", ResourceArn=arn)
        associate = self.ses.create_tenant_resource_association
        self.refused("AlreadyExistsException", associate, TenantName="shop", ResourceArn=set_arn)
        list_resources = self.ses.list_tenant_resources
        resources = list_resources(TenantName="shop")["TenantResources"]
        self.assertEqual({r["ResourceType"] for r in resources}, {"configuration-set", "identity"})
        only = list_resources(TenantName="shop", Filter={"RESOURCE_TYPE": "identity"})["TenantResources"]
        self.assertEqual([r["ResourceArn"] for r in only], [identity_arn])
        models_word = {"RESOURCE_TYPE": "CONFIGURATION_SET"}
        self.refused("BadRequestException", list_resources, TenantName="shop", Filter=models_word)
        tenants = self.ses.list_resource_tenants(ResourceArn=set_arn)["ResourceTenants"]
        self.assertEqual([(t["TenantName"], t["ResourceArn"]) for t in tenants], [("shop", set_arn)])

        self.refused(
            "BadRequestException",
            self.ses.delete_configuration_set,
            ConfigurationSetName="team",
            text=f"Cannot delete {set_arn} because it has tenant associations. "
            "Remove all tenant associations and try again.",
        )
        self.refused("BadRequestException", self.ses.delete_email_identity, EmailIdentity="example.com")
        for _ in range(2):
            self.ses.delete_tenant_resource_association(TenantName="shop", ResourceArn=set_arn)
        self.ses.delete_configuration_set(ConfigurationSetName="team")

        self.ses.delete_tenant(TenantName="shop")
        self.refused("NotFoundException", self.ses.get_tenant, TenantName="shop", status=404)
        again = self.ses.create_tenant(TenantName="shop")
        self.assertNotEqual(again["TenantArn"], created["TenantArn"])

    def test_what_a_tenant_refuses(self):
        self.ses.create_tenant(TenantName="shop")
        self.refused(
            "AlreadyExistsException",
            self.ses.create_tenant,
            TenantName="shop",
            text=f"Tenant with name shop already exists in account {ACCOUNT}",
        )
        self.refused(
            "NotFoundException",
            self.ses.delete_tenant,
            TenantName="none",
            status=404,
            text="The requested tenant none does not exist.",
        )
        put = self.ses.put_tenant_suppression_attributes
        self.refused("BadRequestException", put, TenantName="shop", SuppressionScope="TENANT")
        self.refused("BadRequestException", put, TenantName="shop", SuppressedReasons=["BOUNCE"])
        self.refused("BadRequestException", self.ses.list_tenants, PageSize=101)

    def test_a_tenants_suppression_attributes_are_put_and_cleared(self):
        self.ses.create_tenant(TenantName="shop")
        attributes = {"SuppressedReasons": [], "SuppressionScope": "TENANT"}
        self.ses.put_tenant_suppression_attributes(TenantName="shop", **attributes)
        self.assertEqual(self.ses.get_tenant(TenantName="shop")["Tenant"]["SuppressionAttributes"], attributes)
        self.ses.put_tenant_suppression_attributes(TenantName="shop")
        self.assertNotIn("SuppressionAttributes", self.ses.get_tenant(TenantName="shop")["Tenant"])

    # Suppression

    def test_suppression_entries_of_the_account_and_of_a_tenant(self):
        self.ses.create_tenant(TenantName="shop")
        put = self.ses.put_suppressed_destination
        get = self.ses.get_suppressed_destination
        put(EmailAddress="Some.One+x@Example.ORG", Reason="BOUNCE")
        put(EmailAddress="other@example.org", Reason="COMPLAINT", TenantName="shop")
        found = get(EmailAddress="Some.One+x@example.org")["SuppressedDestination"]
        self.assertEqual((found["EmailAddress"], found["Reason"]), ("Some.One+x@example.org", "BOUNCE"))
        found = get(EmailAddress="other@example.org", TenantName="shop")["SuppressedDestination"]
        self.assertEqual((found["Reason"], found["TenantName"]), ("COMPLAINT", "shop"))
        listed = self.ses.list_suppressed_destinations
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        bounces = listed(Reasons=["BOUNCE"], StartDate=since)["SuppressedDestinationSummaries"]
        self.assertEqual([entry["EmailAddress"] for entry in bounces], ["Some.One+x@example.org"])
        self.assertEqual(listed(EndDate=since)["SuppressedDestinationSummaries"], [])
        self.assertEqual(len(listed(TenantName="shop")["SuppressedDestinationSummaries"]), 1)

        put(EmailAddress="second@example.org", Reason="BOUNCE")
        token = listed(PageSize=1)["NextToken"]
        self.assertEqual(len(listed(PageSize=1, NextToken=token)["SuppressedDestinationSummaries"]), 1)
        self.refused("InvalidNextTokenException", listed, NextToken=token, Reasons=["COMPLAINT"])

        delete = self.ses.delete_suppressed_destination
        delete(EmailAddress="Some.One+x@example.org")
        self.refused(
            "NotFoundException",
            delete,
            EmailAddress="Some.One+x@example.org",
            status=404,
            text="Email address Some.One+x@example.org does not exist on your suppression list.",
        )
        self.refused(
            "NotFoundException",
            get,
            EmailAddress="none@example.org",
            TenantName="shop",
            status=404,
            text="does not exist on your tenant suppression list.",
        )
        self.refused(
            "BadRequestException",
            put,
            EmailAddress="a@example.org",
            Reason="OTHER",
            text="Reason OTHER is invalid, must be one of [BOUNCE, COMPLAINT].",
        )
        self.simulator.admin("PATCH", "settings", {"productionAccess": False})
        self.refused("BadRequestException", put, EmailAddress="a@example.org", Reason="BOUNCE", text="sandbox")

    # Reputation

    def test_reputation_entities_and_recommendations(self):
        arn = self.ses.create_tenant(TenantName="shop")["TenantArn"]
        entity = {"ReputationEntityType": "RESOURCE", "ReputationEntityReference": arn}
        get = self.ses.get_reputation_entity
        found = get(**entity)["ReputationEntity"]
        self.assertEqual(
            found["ReputationManagementPolicy"], "arn:aws:ses:us-east-1:aws:reputation-policy/standard"
        )
        strict = "arn:aws:ses:us-east-1:aws:reputation-policy/strict"
        self.ses.update_reputation_entity_policy(ReputationEntityPolicy=strict, **entity)
        update = self.ses.update_reputation_entity_customer_managed_status
        update(SendingStatus="DISABLED", **entity)
        found = get(**entity)["ReputationEntity"]
        self.assertEqual(found["ReputationManagementPolicy"], strict)
        self.assertEqual(found["CustomerManagedStatus"]["Status"], "DISABLED")
        self.assertEqual(found["SendingStatusAggregate"], "DISABLED")
        self.assertEqual(self.ses.get_tenant(TenantName="shop")["Tenant"]["SendingStatus"], "DISABLED")

        self.assertEqual(self.ses.list_recommendations()["Recommendations"], [])
        finding = {"resourceArn": arn, "type": "BOUNCE", "description": "High.", "status": "OPEN", "impact": "HIGH"}
        self.simulator.admin("POST", "recommendations", finding)
        listed = self.ses.list_recommendations(Filter={"RESOURCE_ARN": arn})["Recommendations"]
        self.assertEqual([(r["Type"], r["Impact"], r["Status"]) for r in listed], [("BOUNCE", "HIGH", "OPEN")])
        update(SendingStatus="ENABLED", **entity)
        self.assertEqual(get(**entity)["ReputationEntity"]["SendingStatusAggregate"], "REINSTATED")
        self.simulator.admin("POST", "recommendations", {**finding, "status": "FIXED"})
        self.assertEqual(get(**entity)["ReputationEntity"]["SendingStatusAggregate"], "ENABLED")

        self.simulator.admin("PUT", "tenants/shop/aws-status", {"status": "DISABLED"})
        update(SendingStatus="ENABLED", **entity)
        paused = self.ses.list_reputation_entities(Filter={"SENDING_STATUS": "DISABLED"})["ReputationEntities"]
        self.assertEqual([e["ReputationEntityReference"] for e in paused], [arn])
        self.assertEqual(paused[0]["AwsSesManagedStatus"]["Status"], "DISABLED")

        missing = {**entity, "ReputationEntityReference": self.simulator.arn("tenant/none/tn-1")}
        self.refused("NotFoundException", get, status=404, **missing)
        self.refused("BadRequestException", update, SendingStatus="ENABLED", **missing)
        self.refused(
            "BadRequestException",
            self.ses.update_reputation_entity_policy,
            ReputationEntityPolicy="strict",
            **entity,
        )

    # Identities

    def test_an_identity_and_its_attributes(self):
        self.create_set()
        created = self.ses.create_email_identity(EmailIdentity="example.net")
        self.assertEqual((created["IdentityType"], created["VerifiedForSendingStatus"]), ("DOMAIN", False))
        self.refused("AlreadyExistsException", self.ses.create_email_identity, EmailIdentity="example.net")
        self.simulator.admin("PUT", "identities/example.net", {"verified": True})
        name = {"EmailIdentity": "example.net"}
        self.ses.put_email_identity_configuration_set_attributes(ConfigurationSetName="team", **name)
        self.ses.put_email_identity_mail_from_attributes(MailFromDomain="bounce.example.net", **name)
        self.ses.put_email_identity_dkim_attributes(SigningEnabled=False, **name)
        self.ses.put_email_identity_feedback_attributes(EmailForwardingEnabled=False, **name)
        found = self.ses.get_email_identity(**name)
        self.assertEqual((found["VerificationStatus"], found["ConfigurationSetName"]), ("SUCCESS", "team"))
        self.assertEqual(found["MailFromAttributes"]["MailFromDomain"], "bounce.example.net")
        self.assertFalse(found["DkimAttributes"]["SigningEnabled"] or found["FeedbackForwardingStatus"])
        self.ses.put_email_identity_configuration_set_attributes(**name)
        self.assertNotIn("ConfigurationSetName", self.ses.get_email_identity(**name))
        listed = self.ses.list_email_identities()["EmailIdentities"]
        self.assertEqual([identity["IdentityName"] for identity in listed], ["example.com", "example.net"])
        self.refused(
            "NotFoundException",
            self.ses.put_email_identity_configuration_set_attributes,
            ConfigurationSetName="none",
            status=404,
            **name,
        )
        self.ses.delete_email_identity(**name)
        self.refused("NotFoundException", self.ses.get_email_identity, status=404, **name)

    # Tags

    def test_tags_of_a_set(self):
        self.create_set()
        arn = self.simulator.arn("configuration-set/team")
        tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        self.ses.tag_resource(ResourceArn=arn, Tags=tags)
        self.assertEqual(self.ses.list_tags_for_resource(ResourceArn=arn)["Tags"], tags)
        self.ses.untag_resource(ResourceArn=arn, TagKeys=["a", "b"])
        self.assertEqual(self.ses.list_tags_for_resource(ResourceArn=arn)["Tags"], [])
        too_many = [{"Key": str(number), "Value": ""} for number in range(51)]
        self.refused("BadRequestException", self.ses.tag_resource, ResourceArn=arn, Tags=too_many)
        self.refused(
            "NotFoundException",
            self.ses.list_tags_for_resource,
            ResourceArn=self.simulator.arn("configuration-set/none"),
            status=404,
        )

    # Limits, credentials, faults

    def test_one_call_a_second_is_admitted_and_the_rest_is_throttled(self):
        self.simulator.admin("PUT", "limits", {"callsPerSecond": 1.0, "burst": 1})
        self.ses.get_account()
        self.refused(
            "TooManyRequestsException", self.ses.list_tenants, status=429, text="Maximum sending rate exceeded."
        )

    def test_an_operation_the_simulator_lacks_is_refused_by_name_and_counted(self):
        error = self.refused("UnknownOperationException", self.ses.list_contact_lists, status=404)
        self.assertIn("GET /v2/email/contact-lists", error["Error"]["Message"])
        counts = {(c["operation"], c["outcome"]): c["calls"] for c in self.simulator.admin("GET", "counts")["counts"]}
        self.assertEqual(counts, {("Unknown", "UnknownOperationException"): 1})

    def test_an_unknown_key_and_another_region_are_refused(self):
        unknown = self.simulator.client("sesv2", access_key="other")
        self.refused("UnrecognizedClientException", unknown.get_account, status=403)
        elsewhere = self.simulator.client("sesv2", region="eu-west-1")
        self.refused("InvalidSignatureException", elsewhere.get_account, status=403)
        unknown = self.simulator.client("sts", access_key="other")
        self.refused("InvalidClientTokenId", unknown.get_caller_identity, status=403)
        elsewhere = self.simulator.client("sts", region="eu-west-1")
        self.refused("SignatureDoesNotMatch", elsewhere.get_caller_identity, status=403)

    def test_a_role_is_assumed_with_its_external_id_and_its_session_calls(self):
        sts = self.simulator.client("sts")
        self.assertEqual(sts.get_caller_identity()["Account"], ACCOUNT)
        asked = {"RoleArn": ROLE, "RoleSessionName": "operator"}
        self.refused("AccessDenied", sts.assume_role, status=403, text="sts:AssumeRole", **asked)
        self.refused("AccessDenied", sts.assume_role, status=403, ExternalId="wrong", **asked)
        answer = sts.assume_role(ExternalId="secret-id", DurationSeconds=900, **asked)
        credentials = answer["Credentials"]
        lasts = credentials["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
        self.assertAlmostEqual(lasts.total_seconds(), 900, delta=60)
        key, token = credentials["AccessKeyId"], credentials["SessionToken"]
        self.simulator.client("sesv2", access_key=key, token=token).get_account()
        call = self.simulator.admin("GET", "calls")["calls"][-1]
        self.assertEqual((call["operation"], call["role"], call["outcome"]), ("GetAccount", ROLE, "ok"))
        without = self.simulator.client("sesv2", access_key=key)
        self.refused("UnrecognizedClientException", without.get_account, status=403)
        identity = self.simulator.client("sts", access_key=key, token=token).get_caller_identity()
        self.assertEqual(identity["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/control/operator")

    def test_denied_operations_are_access_denied(self):
        self.simulator.admin("PUT", "denials", {"operations": ["CreateTenant"]})
        error = self.refused("AccessDeniedException", self.ses.create_tenant, status=403, TenantName="shop")
        self.assertIn("ses:CreateTenant", error["Error"]["Message"])
        self.ses.list_tenants()

    def test_faults_are_what_a_client_sees_them_as(self):
        def arm(effect):
            self.simulator.admin("POST", "faults", {"effect": effect, "operation": "CreateTenant", "times": 1})

        create = self.ses.create_tenant
        arm("throttle")
        self.refused("TooManyRequestsException", create, status=429, TenantName="shop")
        arm({"error": {"status": 500}})
        self.refused("InternalServiceErrorException", create, status=500, TenantName="shop")
        arm({"error": {"status": 503}})
        self.refused("ServiceUnavailable", create, status=503, TenantName="shop")
        arm("cutBefore")
        with self.assertRaises(ConnectionClosedError):
            create(TenantName="shop")
        arm({"hang": {"millis": 5000}})
        with self.assertRaises(ReadTimeoutError):
            self.simulator.client("sesv2", read_timeout=0.2).create_tenant(TenantName="shop")
        self.assertEqual(self.ses.list_tenants()["Tenants"], [])
        arm({"latency": {"millis": 1}})
        create(TenantName="shop")
        self.ses.delete_tenant(TenantName="shop")
        arm("loseAnswer")
        with self.assertRaises(ConnectionClosedError):
            create(TenantName="shop")
        self.refused("AlreadyExistsException", create, TenantName="shop")

    def test_a_retry_after_a_lost_answer_finds_its_own_work(self):
        fault = {"effect": "loseAnswer", "operation": "CreateConfigurationSet", "times": 1}
        self.simulator.admin("POST", "faults", fault)
        retrying = self.simulator.client("sesv2", attempts=2)
        self.refused("AlreadyExistsException", retrying.create_configuration_set, ConfigurationSetName="team")
        calls = self.simulator.admin("GET", "calls")["calls"]
        self.assertEqual([call["outcome"] for call in calls], ["no-answer", "AlreadyExistsException"])
        self.assertEqual([call["applied"] for call in calls], [True, False])


if __name__ == "__main__":
    unittest.main()
